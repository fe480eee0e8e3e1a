"""Facts that are recorded with a run but are no part of its identity: versions, machine, source revision."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from regbench.config.location import CHECKOUT


def facts(device: torch.device, threads: int) -> dict[str, Any]:
    """What run.json says of the program and the machine; `threads` are those that compute one run."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "versions": {
            **{key: installed(key) for key in ("regbench", "numpy")},
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
        "git": revision(),
    }


installed = cache(version)  # looks through the files of all packages


@cache
def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def revision() -> dict[str, Any] | None:
    """Commit and whether files differ from it, where regbench runs from its own checkout; else None."""
    if not (CHECKOUT / ".git").exists():
        return None
    try:
        commit = _git("rev-parse", "HEAD").strip()
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(CHECKOUT), *words], capture_output=True, text=True, check=True, timeout=10
    ).stdout
