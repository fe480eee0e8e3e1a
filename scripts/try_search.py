"""Several starts of one search at once, again and again: on a file of SQLite, or on a PostgreSQL of their own.

`scripts/try_search sqlite` starts eight copies of a process 20 times, `--how commands` whole commands instead.
`scripts/try_search postgresql` makes a server in a temporary folder, and ends it.
"""

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import click

from trying.postgresql import server
from trying.searches import Seen, as_asking, as_commands, as_forks

HOW: dict[str, Callable[..., Seen]] = {"commands": as_commands, "forks": as_forks, "asking": as_asking}


@click.command()
@click.argument("database", type=click.Choice(["sqlite", "postgresql"]))
@click.option("--starts", default=8, show_default=True, help="Starts at once.")
@click.option("--times", default=20, show_default=True, help="How often.")
@click.option(
    "--how",
    type=click.Choice(list(HOW)),
    default="forks",
    show_default=True,
    help="commands: whole commands. forks: copies of a process that has imported all. asking: those train nothing.",
)
def main(database: str, starts: int, times: int, how: str) -> None:
    """Start a search several times at once, and print what came of it."""
    start = HOW[how]
    bad = 0
    with tempfile.TemporaryDirectory() as folder, server() if database == "postgresql" else nullcontext() as new:
        for number in range(times):
            seen = start(Path(folder) / str(number), starts, new and new(f"try{number}"))
            bad += not seen.is_good
            print(f"{number + 1:>3}  {'good' if seen.is_good else 'BAD '}  {seen}", flush=True)
    print(f"{times - bad} of {times} good")
    raise SystemExit(min(bad, 1))


if __name__ == "__main__":
    main()
