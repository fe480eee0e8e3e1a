"""Draw mutated files and words for as long as wanted: `scripts/fuzz --minutes 60`. Stops at the first that fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

import click

_ROOT = Path(__file__).resolve().parent.parent
_EXAMPLES = 300  # of each test in a round


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long.")
def main(minutes: float) -> None:
    """Run tests/whole/test_fuzz.py again and again with other examples."""
    ends, rounds = time.monotonic() + 60 * minutes, 0
    environment = os.environ | {"REGBENCH_FUZZ": str(_EXAMPLES)}
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-x", "tests/whole/test_fuzz.py"]
    while time.monotonic() < ends:
        if code := subprocess.run(command, cwd=_ROOT, env=environment).returncode:
            sys.exit(code)
        rounds += 1
        print(f"{rounds} rounds of {_EXAMPLES} examples for each test, none failed", flush=True)


if __name__ == "__main__":
    main()
