"""Run COMMAND with its output in LOG: a terminal shows one line that changes, anything else a line each half minute.

environment.sh calls it before anything is installed: Python's own library is all that it has.
"""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

_TAIL = 15  # lines of the log that a failure shows


class _Progress:
    """What is said of a command that runs: its last line, and for how long."""

    def __init__(self, title: str) -> None:
        self.title, self.last, self.begun = title, "", time.monotonic()
        self.on_terminal = sys.stderr.isatty()
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.5 if self.on_terminal else 30):
            line = f"regbench: {self.title} ({time.monotonic() - self.begun:.0f} s) {self.last}"
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r{line[:width]:{width}}" if self.on_terminal else f"{line[:79]}\n")
        self._write("\r\033[K" if self.on_terminal else "")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def main(log: str, title: str, *command: str) -> int:
    """Return the exit code of COMMAND; what it starts inherits the open files of this process, locks among them."""
    progress = _Progress(title)
    shows = threading.Thread(target=progress.run, daemon=True)
    shows.start()
    with (
        Path(log).open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=False,
            text=True,
            errors="replace",
        ) as process,
    ):
        lines = []
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            lines = [*lines[1 - _TAIL :], line]
            progress.last = " ".join(line.split())
    progress.ended.set()
    shows.join()
    if process.returncode:
        sys.stderr.writelines([*lines, f"regbench: all of it is in {log}\n"])
    return process.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
