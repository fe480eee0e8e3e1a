"""Have trackers told of runs while they train: by a process of its own for each, which reads what is on the disk."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from regbench.console import console
from regbench.errors import UserError, not_installed

_MISTAKE = f"{UserError.__module__}.{UserError.__name__}: "  # how Python begins the last line of one
_PATIENCE = 60  # seconds for the last words, after the training


class _Teller(NamedTuple):
    kind: str
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]


@contextmanager
def following(trackers: str, folders: Sequence[Path]) -> Iterator[None]:
    """Tell trackers of the runs below the folders until the end of the block; names are joined by `+`.

    A tracker that is not installed, fails or hangs costs one warning.
    """
    kinds = [kind for kind in trackers.split("+") if kind != "none"]
    tellers = [teller for kind in dict.fromkeys(kinds) if (teller := _begin(kind, folders))]
    try:
        yield
    finally:
        for teller in tellers:
            _end(teller, folders)


def _begin(kind: str, folders: Sequence[Path]) -> _Teller | None:
    if find_spec(kind) is None:
        _warn(kind, f"{not_installed(kind, kind)}. The runs train without it")
        return None
    said = TemporaryFile()  # noqa: SIM115 - closed by _end
    command = [sys.executable, "-m", "regbench.trackers.follow", kind, *map(str, folders)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
    except OSError as error:  # no memory, too many processes
        said.close()
        _warn(kind, f"cannot be started ({error.strerror}). {_by_hand(kind, folders)}")
        return None
    return _Teller(kind, process, said)


def _end(teller: _Teller, folders: Sequence[Path]) -> None:
    """Let a tracker be told the rest, and say in one line if it was not."""
    kind, process, said = teller
    with said:
        try:
            assert process.stdin
            with suppress(OSError):  # it has ended already
                process.stdin.close()
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            _warn(kind, f"takes longer than {_PATIENCE} s. {_by_hand(kind, folders)}")
        else:
            if code:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
                _warn(
                    kind,
                    f"{lines[-1].removeprefix(_MISTAKE) if lines else f'exit code {code}'}. {_by_hand(kind, folders)}",
                )


def _by_hand(kind: str, folders: Sequence[Path]) -> str:
    return f"To write the runs later: regbench export {' '.join(map(str, folders))} --to {kind}"


def _warn(kind: str, text: str) -> None:
    console(stderr=True).print(f"warning: tracker={kind}: {text}", style="yellow", markup=False, soft_wrap=True)
