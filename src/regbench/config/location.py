"""Where regbench is installed (its package, its checkout, its built-in configs), and what path a setting means."""

import os
from importlib.resources import files
from pathlib import Path

from platformdirs import user_cache_path

from regbench.errors import UserError
from regbench.text import file_name

PACKAGE = Path(str(files("regbench"))).resolve()
CHECKOUT = PACKAGE.parent.parent  # only if regbench runs from a checkout, where the package is src/regbench


def config_dir() -> Path:
    """Find the built-in configs: inside an installed package, or beside src/ in a checkout."""
    places = (PACKAGE / "conf", CHECKOUT / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())


def user_config_dirs() -> list[Path]:
    """Return the folders of configs that REGBENCH_CONFIG_PATH names, the first named first.

    Raises:
        UserError: one of them is no folder.
    """
    name = "REGBENCH_CONFIG_PATH"
    folders = [user_path(name, folder) for folder in os.environ.get(name, "").split(os.pathsep) if folder]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{name}: {file_name(folder)} is not a folder")
    return [folder.resolve() for folder in folders]


def user_path(key: str, value: str) -> Path:
    """Return the path that a setting means: `~` is the home folder, `~name` that of another user.

    Raises:
        UserError: there is no such home folder.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise UserError(f"{key}={file_name(value)}: no home folder for {Path(value).parts[0]}") from None


def cache_dir(setting: str | None) -> Path:
    """Where downloads are kept: the setting of `runtime.cache`, or else the system's place for caches."""
    return user_cache_path("regbench") if setting is None else user_path("runtime.cache", setting)
