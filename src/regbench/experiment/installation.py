"""What a report of a fault needs to know: versions, machine, data, places, extras."""

import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from regbench.config.location import CHECKOUT, PACKAGE, cache_dir, config_dir, user_config_dirs
from regbench.data.datasets import DATASETS, digest, is_here
from regbench.experiment.provenance import facts
from regbench.models.dense import onednn_is_faster
from regbench.training.machine import fastest_device

_LIBRARIES = ("torchvision", "hydra-core", "omegaconf", "pydantic", "pandas", "scipy", "matplotlib", "click")
_REQUIREMENT = re.compile(r"^([\w.-]+).*;.*extra == ['\"]([\w-]+)['\"]")
_NOT_FOR_USERS = "dev"


def installation() -> dict[str, dict[str, Any]]:
    """Describe this installation in sections: versions, machine, git, data, places, extras."""
    recorded = facts(torch.device(fastest_device()), torch.get_num_threads())
    return {
        "versions": recorded["versions"] | {name: version(name) for name in _LIBRARIES},
        "machine": recorded["machine"] | {"dense_kernel": "oneDNN" if onednn_is_faster() else "torch"},
        "git": recorded["git"] or {},
        "data": _data(),
        "places": _places(),
        "extras": _extras(),
    }


def _data() -> dict[str, Any]:
    """Give the digest of each data set that has a fixed one, and whether it is here without a download."""
    fixed = [name for name in DATASETS if name != "image_folder"]
    return {name: {"sha256": digest(name), "here": is_here(name, cache_dir(None))} for name in fixed}


def _places() -> dict[str, Any]:
    checkout = CHECKOUT if (CHECKOUT / ".git").exists() else None
    return {
        "package": str(PACKAGE),
        "checkout": str(checkout) if checkout else None,
        "configs": str(config_dir()),
        "own_configs": [str(folder) for folder in user_config_dirs()],
        "runs": str(Path("runs").resolve()),
        "cache": str(cache_dir(None)),
    }


def _extras() -> dict[str, dict[str, str | None]]:
    """Give the version of each package of each extra; None where it is not installed."""
    extras: dict[str, dict[str, str | None]] = {}
    for match in filter(None, map(_REQUIREMENT.match, requires("regbench") or [])):
        package, extra = match.groups()
        if extra != _NOT_FOR_USERS:
            extras.setdefault(extra, {})[package] = _installed(package)
    return extras


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
