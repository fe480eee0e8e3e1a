"""A small real Slurm on this machine, and what happens to sweeps on it.

`scripts/try_slurm up` starts it, `scripts/try_slurm run` goes through all scenarios and prints a table, and
`scripts/try_slurm down` ends it. It needs no rights; `up` names the packages it needs.
"""

import shutil
import tempfile
import time
from pathlib import Path

import click

from trying.on_slurm import SCENARIOS, OnSlurm
from trying.slurm import Slurm

_FOLDER = Path(tempfile.gettempdir()) / "regbench-slurm"


@click.group()
@click.option("--folder", type=click.Path(path_type=Path), default=_FOLDER, show_default=True, help="Of this Slurm.")
@click.pass_context
def main(context: click.Context, folder: Path) -> None:
    """Try regbench on a real Slurm."""
    context.obj = Slurm(folder)


@main.command()
@click.pass_obj
def up(slurm: Slurm) -> None:
    """Start a Slurm of two nodes, and say how to use it."""
    slurm.up()
    print(f"export SLURM_CONF={slurm.folder / 'slurm.conf'}")


@main.command()
@click.pass_obj
def down(slurm: Slurm) -> None:
    """End it."""
    slurm.down()


@main.command()
@click.option("--only", multiple=True, metavar="WORD", help="Only scenarios whose name has the word; may be repeated.")
@click.pass_obj
def run(slurm: Slurm, only: tuple[str, ...]) -> None:
    """Go through the scenarios; print a row for each."""
    if not slurm.folder.is_dir():
        raise click.ClickException("no Slurm runs here: scripts/try_slurm up")
    folder = Path(tempfile.mkdtemp(dir=slurm.folder))
    on = OnSlurm(slurm, folder)
    bad = 0
    for name, scenario in SCENARIOS.items():
        if not only or any(word.lower() in name.lower() for word in only):
            start = time.monotonic()
            try:
                result = scenario(on)
            except Exception as error:  # the other scenarios tell more
                bad, result = bad + 1, f"NOT AS EXPECTED: {type(error).__name__}: {error}"
                slurm.run("scancel", "--me")
            print(f"| {name} | {result} | {time.monotonic() - start:.0f} s |", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(min(bad, 1))


if __name__ == "__main__":
    main()
