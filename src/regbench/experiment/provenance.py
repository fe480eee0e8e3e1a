"""Facts that are recorded with a run and are no part of its identity: versions, machine, source revision."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from regbench.config.location import CHECKOUT
from regbench.records.names import command
from regbench.records.run_json import RECIPES
from regbench.text import plural

_RECIPE = re.compile(r"\+{1,2}(experiment|study)(?:@\w+)?=(.+)")


def recipes(overrides: Sequence[str]) -> dict[str, str | None]:
    """Name the experiment and the study recipe that a run came from: NAME of `+experiment=NAME` and `+study=NAME`.

    Several experiments, `+experiment=[a,b]`, are `a+b`.
    """
    names: dict[str, str | None] = dict.fromkeys(RECIPES)
    for match in filter(None, map(_RECIPE.fullmatch, overrides)):
        key = "recipe" if match[1] == "study" else "experiment"  # the key `study` is the folder of the run
        names[key] = "+".join(name.strip(" '\"") for name in match[2].strip("[]").split(","))
    return names


def heading(overrides: Sequence[str], facts: Mapping[str, Any]) -> list[str]:
    """Write the first lines of train.log: the command, the versions, the machine, how many runs train together."""
    git, machine, runs = facts.get("git"), facts["machine"], facts.get("stack", 1)
    code = [f"commit {git['commit']}{' with changes' if git['dirty'] else ''}"] if git else []
    versions = ", ".join([*(f"{name} {version}" for name, version in facts["versions"].items()), *code])
    together = f", {runs} runs together" if runs > 1 else ""
    threads = plural(machine["threads"], "thread")
    place = f"{machine['host']}, {machine['platform']}: {machine['device']} ({machine['device_name']}), {threads}"
    return [command(overrides), versions, place + together]


def facts(device: torch.device, threads: int) -> dict[str, Any]:
    """Describe the program and the machine for run.json. `threads` is the number that computes one run."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "versions": {
            **{key: _installed(key) for key in ("regbench", "numpy")},
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "machine": {
            "host": platform.node(),
            "platform": platform.platform(),
            "device": str(device),
            "device_name": name,
            "threads": threads,
            "load": _load(),
        },
        "git": _revision(),
    }


def _load() -> float | None:
    """Say how many programs wanted a processor in the last minute; None where the system does not count them."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # Windows has no such function
        return None


_installed = cache(version)  # searches the files of all packages


@cache
def processor() -> str:
    """Name the processor as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def _revision() -> dict[str, Any] | None:
    """Name the commit and whether files differ from it; None unless regbench runs from its own checkout."""
    if not (CHECKOUT / ".git").exists():
        return None
    try:
        commit = _git("rev-parse", "HEAD").strip()
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    # A git hook sets GIT_DIR and the like for the repository that it runs in, which may be another one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=environment).stdout
