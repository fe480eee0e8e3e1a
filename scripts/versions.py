"""Run the quick tests with the oldest versions that pyproject.toml allows, or with the newest that there are.

`scripts/versions --lowest`, `scripts/versions --python python3.13`: makes an environment of its own, some 6 GB, in a
temporary folder, and prints what was installed. uv installs it: pip's resolver tries version after version of what the
oldest versions need in turn, and found no answer within an hour, uv one in seconds.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import click

_ROOT = Path(__file__).resolve().parent.parent
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[.*\])?>=(?P<lowest>[\w.]+)")


def lowest() -> list[str]:
    """Write the oldest versions as constraints: of each package that users install, not of the tools of development."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = [extra for name, extra in project["optional-dependencies"].items() if name != "dev"]
    named = [*project["dependencies"], *(line for extra in extras for line in extra)]
    found = (_REQUIREMENT.match(line) for line in named)
    return [f"{match['name']}=={match['lowest']}" for match in found if match]


@click.command()
@click.option("--python", default=sys.executable, show_default=True, metavar="COMMAND", help="The Python to try.")
@click.option("--lowest", "is_lowest", is_flag=True, help="The oldest versions instead of the newest.")
@click.option("--keep", type=click.Path(path_type=Path), help="Make the environment here, and keep it.")
@click.argument("words", nargs=-1)
def main(python: str, is_lowest: bool, keep: Path | None, words: tuple[str, ...]) -> None:
    """WORDS are for pytest; the default is -m "not slow"."""
    with tempfile.TemporaryDirectory() as folder:
        place = keep or Path(folder) / "venv"
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(lowest() if is_lowest else []))
        own = place / "bin/python"
        for command in (
            [python, "-m", "venv", place],
            [own, "-m", "pip", "install", "-q", "uv"],
            [own, "-m", "uv", "pip", "install", "--python", own, "-q", "-c", constraints, "-e", f"{_ROOT}[dev]"],
            [own, "-m", "pip", "list"],
            [own, "-m", "pytest", *(words or ("-q", "-m", "not slow"))],
        ):
            if code := subprocess.run([str(word) for word in command], cwd=_ROOT).returncode:
                sys.exit(code)


if __name__ == "__main__":
    main()
