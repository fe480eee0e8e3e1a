"""Where regbench is installed (its package, its checkout, its built-in configs), and what path a setting means."""

from importlib.resources import files
from pathlib import Path

from regbench.errors import UserError
from regbench.text import file_name

PACKAGE = Path(str(files("regbench"))).resolve()
CHECKOUT = PACKAGE.parent.parent  # only if regbench runs from a checkout, where the package is src/regbench


def config_dir() -> Path:
    """Find the built-in configs: inside an installed package, or beside src/ in a checkout."""
    places = (PACKAGE / "conf", CHECKOUT / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())


def user_path(key: str, value: str) -> Path:
    """Return the path that a setting means: `~` is the home folder, `~name` that of another user.

    Raises:
        UserError: there is no such home folder.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise UserError(f"{key}={file_name(value)}: no home folder for {Path(value).parts[0]}") from None
