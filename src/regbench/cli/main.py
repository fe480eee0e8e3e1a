"""Hand the arguments to `train`, which Hydra reads, or to a click command. Each is imported only when it is called."""

import io
import sys


def main() -> None:
    """Run the `regbench` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a plain ASCII pipe has no ±
    if sys.argv[1:2] == ["train"]:
        from regbench.cli.train import train

        train(sys.argv[2:])
    else:
        from regbench.cli.group import main as commands

        commands()
