"""What the nodes of a Ray cluster can do: how many workers fit, and whether each node can train."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from regbench.errors import UserError

_SECONDS_OF_CHECK = 60  # for a node to start a worker
_ROUNDING = 1e-9


def workers_on(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Count the workers that a node has room for, by what each asks for; without a wish, one to a CPU."""
    limits = [node.get("CPU", 0.0) / (cpus or 1)] if cpus or not gpus else []
    if 0 < gpus < 1:
        limits.append(int(node.get("GPU", 0.0)) * int(1 / gpus + _ROUNDING))
    elif gpus:
        limits.append(node.get("GPU", 0.0) / gpus)
    return int(min(limits) + _ROUNDING)


def check(file: Path, environment: Mapping[str, Any]) -> None:
    """Have each node show that it imports this version and sees the file, which stands in the folder of the runs.

    Raises:
        UserError: a node cannot: its runs would train where nobody sees them.
    """
    task = ray.remote(num_cpus=0, max_retries=0, runtime_env=dict(environment))(_what_is_missing)
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    answers = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            version("regbench"), str(Path.cwd()), str(file)
        ): node
        for node in nodes
    }
    ray.wait(list(answers), num_returns=len(answers), timeout=_SECONDS_OF_CHECK)
    for answer, node in answers.items():
        if reason := _reason(answer):
            name = f"{nodes[node]} ({node[:8]})"
            raise UserError(f"hydra/launcher=ray: node {name} cannot train: {reason}")


def _reason(answer: Any) -> str | None:
    """Return what a node says is missing, or why it does not say anything."""
    try:
        reason: str | None = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return f"it did not answer within {_SECONDS_OF_CHECK} s"
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return next((line for line in lines if "ModuleNotFoundError: " in line), first_line(error))
    return reason


def _what_is_missing(wanted: str, folder: str, file: str) -> str | None:
    """Say on a node why it cannot train; None if it can."""
    if (ours := version("regbench")) != wanted:
        return f"it has regbench {ours}, and the sweep {wanted}"
    if not Path(folder).is_dir():
        return f"it has no folder {folder}"
    if not (Path(folder) / file).is_file():
        return f"{Path(folder, file).parent} is not the same folder there"
    return None


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else ""
