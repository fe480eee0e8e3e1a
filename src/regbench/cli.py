"""Argv to `train`, which Hydra reads, or to a click command. Each is imported only when it is called."""

import io
import sys


def main() -> None:
    """The `regbench` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a plain ASCII pipe has no ±
    if sys.argv[1:2] == ["train"]:
        from regbench.app import train

        train(sys.argv[2:])
    else:
        from regbench.commands import main as commands

        commands()
