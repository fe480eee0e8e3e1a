"""A Ray cluster: connect to it or start it here, ask what it has, and whether its nodes can train."""

import os
import socket
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from regbench.errors import UserError

_QUIET = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
_SECONDS_TO_ANSWER = 10  # for a head, which answers at once
_SECONDS_OF_CHECK = 60  # for a node to start a worker
_ROUNDING = 1e-9


class Cluster:
    """The cluster that an engine uses, from the first `connect` until `leave`."""

    def __init__(self, address: str | None, init: Mapping[str, Any]) -> None:
        """`address`: None means RAY_ADDRESS, or Ray started on this machine, whatever else runs here."""
        self._address, self._init = address or os.environ.get("RAY_ADDRESS") or "local", init
        self._named = "hydra.launcher.address" if address else "RAY_ADDRESS"
        self._ours = self._checked = False

    @property
    def name(self) -> str:
        """Where it is, in words."""
        return "Ray on this machine" if self._address == "local" else f"Ray at {self._address}"

    def connect(self) -> None:
        """Connect, unless this process is connected.

        Raises:
            UserError: nobody answers at the address, or Ray refuses an argument.
        """
        if ray.is_initialized():
            return
        if self._address != "local":
            self._check_answers()
        try:
            ray.init(address=self._address, **{**_QUIET, **self._init})
        except (Exception, SystemExit) as error:  # Ray raises a dozen kinds, and leaves where its head does
            raise self._refused(error) from None
        self._ours = True

    def leave(self) -> None:
        """Disconnect, and end the cluster if it was started here."""
        if self._ours:
            ray.shutdown()
        self._ours = self._checked = False

    def resources(self) -> list[dict[str, float]]:
        """Return what each living node has: `{"CPU": 8.0, "GPU": 1.0, …}`."""
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def check_nodes(self, folder: Path, environment: Mapping[str, Any]) -> None:
        """Have each node show, once, that it imports this version and sees the folder of the runs.

        Raises:
            UserError: a node cannot: its runs would train where nobody sees them.
        """
        if self._checked or self._address == "local":
            return
        place = folder.absolute()
        there = next(parent for parent in (place, *place.parents) if parent.is_dir())
        file = there / f".{uuid4().hex}.tmp"
        file.touch()
        try:
            _check(file, environment)
        finally:
            file.unlink(missing_ok=True)
        self._checked = True

    def _check_answers(self) -> None:
        """Raise UserError unless somebody listens at the address: Ray itself tries for two minutes."""
        address = _found(self._address)
        if not address:
            raise UserError(f"{self._named}=auto: no Ray cluster runs on this machine. Without it Ray is started here")
        host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
        if not port.isdecimal():
            raise UserError(f"{self._named}={self._address}: must be HOST:PORT, ray://HOST:PORT, auto or local")
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER).close()
        except (OSError, OverflowError) as error:
            where = f" at {address}" * (self._address == "auto")
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self._named}={self._address}: no Ray cluster answers{where} ({reason})") from None

    def _refused(self, error: BaseException) -> UserError:
        what = f"hydra.launcher.init={dict(self._init)}" if self._init else f"hydra/launcher=ray: {self.name}"
        return UserError(f"{what}: Ray says: {type(error).__name__}: {first_line(error)}")


def _found(address: str) -> str:
    """Return the address that `auto` means on this machine, nothing without a cluster, or the address itself."""
    if address != "auto":
        return address
    from ray._private import services  # Ray has no public function for it, and its own init waits for a dead head

    return str(services.find_bootstrap_address(None) or next(iter(services.find_gcs_addresses()), ""))


def _check(file: Path, environment: Mapping[str, Any]) -> None:
    """Ask all nodes at once."""
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
        return next((line for line in lines if "ModuleNotFoundError" in line), first_line(error))
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


def workers_on(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Count the workers that a node has room for, by what each asks for; without a wish, one to a CPU."""
    limits = [node.get("CPU", 0.0) / (cpus or 1)] if cpus or not gpus else []
    if 0 < gpus < 1:
        limits.append(int(node.get("GPU", 0.0)) * int(1 / gpus + _ROUNDING))
    elif gpus:
        limits.append(node.get("GPU", 0.0) / gpus)
    return int(min(limits) + _ROUNDING)


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else ""
