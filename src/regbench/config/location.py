"""Where regbench is installed, and where configs are: the built-in ones and the user's."""

import os
from importlib.resources import files
from pathlib import Path

from regbench.errors import UserError

PACKAGE = Path(str(files("regbench"))).resolve()
CHECKOUT = PACKAGE.parent.parent  # only if regbench runs from a checkout, where the package is src/regbench
_FOLDERS = "REGBENCH_CONFIG_PATH"


def config_dir() -> Path:
    """Find the built-in configs: inside an installed package, or beside src/ in a checkout."""
    places = (PACKAGE / "conf", CHECKOUT / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())


def user_config_dirs() -> list[Path]:
    """Return the folders of configs that REGBENCH_CONFIG_PATH names, the first named first.

    Raises:
        UserError: one of them is no folder.
    """
    folders = [Path(folder).expanduser() for folder in os.environ.get(_FOLDERS, "").split(os.pathsep) if folder]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{_FOLDERS}: {folder} is not a folder")
    return [folder.resolve() for folder in folders]
