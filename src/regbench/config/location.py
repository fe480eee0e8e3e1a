"""Where regbench is installed: its package, its checkout, its built-in configs."""

from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("regbench"))).resolve()
CHECKOUT = PACKAGE.parent.parent  # only if regbench runs from a checkout, where the package is src/regbench


def config_dir() -> Path:
    """Find the built-in configs: inside an installed package, or beside src/ in a checkout."""
    places = (PACKAGE / "conf", CHECKOUT / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())
