"""Facts that are recorded with a run and are no part of its identity: versions, machine, source revision."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from regbench.config.location import CHECKOUT


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
        },
        "git": _revision(),
    }


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
