"""Where regbench itself is: its package, its checkout, its built-in configs."""

from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("regbench"))).resolve()
CHECKOUT = PACKAGE.parent.parent  # if regbench runs from one: its folders are src/regbench


def config_dir() -> Path:
    """The built-in configs: inside an installed package, or beside src/ in a checkout."""
    places = (PACKAGE / "conf", CHECKOUT / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())
