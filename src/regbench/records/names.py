"""How people name runs: short names instead of paths, and the commands that train them."""

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from regbench.config.run_config import ID_LENGTH
from regbench.config.short_keys import SHORT
from regbench.errors import UserError, listed
from regbench.records.files import RUN
from regbench.suggestions import suggestion

_RUNS = "runs"  # the folder that a short name leaves out
_SHORTER = re.compile(rf"^runtime\.(?=(?:{'|'.join(SHORT)})=)")  # as on the command line
_PART_OF_ID = re.compile(rf"[0-9a-f]{{4,{ID_LENGTH}}}")
_FEW_OF_ID = re.compile(r"[0-9a-f]{1,3}")
_ID = re.compile(rf".*-([0-9a-f]{{{ID_LENGTH}}})")


def short_name(path: Path) -> str:
    """Write `norms/28e60382b7ca` for `runs/norms/mlp-relu-kaiming-adam-s0-28e60382b7ca`."""
    with_id = _ID.fullmatch(path.name)
    short = path.with_name(with_id[1]) if with_id else path
    return str(short.relative_to(_RUNS) if short.parts[:1] == (_RUNS,) and len(short.parts) > 1 else short)


def run_path_of(name: str | Path) -> Path:
    """Return the directory that a short name means; any other name is a path. Four digits of an id are enough.

    Raises:
        UserError: several runs have such an id.
    """
    path = Path(name)
    if not _PART_OF_ID.fullmatch(path.name) or path.exists():
        return path
    runs = _runs_with(path)
    if len(runs) > 1:
        some = ", ".join(map(short_name, sorted(runs)[:3]))
        raise UserError(f"{name}: {len(runs)} runs have such an id. Write more of one: {some}")
    return runs[0] if runs else path


def _runs_with(start: Path) -> list[Path]:
    """Find the runs whose id begins so, in the folder that is named or any study."""
    wanted = f"*-{start.name}*"
    runs = [*start.parent.glob(wanted), *(_RUNS / start.parent).glob(wanted)]
    if start.parent == Path():
        runs += Path(_RUNS).glob(f"*/{wanted}")
    with_id = ((run, _ID.fullmatch(run.name)) for run in dict.fromkeys(runs))
    return [run for run, match in with_id if match and match[1].startswith(start.name)]


def paths_of(names: Sequence[str | Path]) -> list[Path]:
    """Return what names on a command line mean: paths, or short names as lists print them; `runs` without any."""
    return list(map(run_path_of, names or (_RUNS,)))


def no_directory(path: Path, cure: str) -> UserError:
    """Say that there is no such folder, or what else it is, and what to do.

    It may be in `runs`, which lists leave out, misspelt, or the beginning of a run's id.
    """
    _check_no_file(path)
    return UserError(f"no directory '{path}'. {_meant(path) or cure}")


def _check_no_file(path: Path) -> None:
    with suppress(OSError):  # the name is too long
        if path.is_file():
            raise UserError(f"{path}: is a file, not a folder of runs. regbench ls lists the runs there are")


def _meant(path: Path) -> str:
    """Say which folder may be meant; nothing if none is near."""
    inside = _RUNS / path
    with suppress(OSError):
        if inside.is_dir():
            return f"Did you mean '{inside}'?"
        if _FEW_OF_ID.fullmatch(path.name):
            return f"Of a run's id write four digits or more, as regbench ls shows them{_with_id(path)}"
        for folder in (path.parent, inside.parent):
            names = [entry.name for entry in sorted(folder.iterdir()) if entry.is_dir()] if folder.is_dir() else []
            if near := suggestion(path.name, names):
                return f"Did you mean '{folder / near}'?"
    return ""


def _with_id(path: Path) -> str:
    """Name the runs whose id begins with these digits, three at most: `: norms/e5ca28d72c9f`."""
    some = sorted(map(short_name, _runs_with(path)))
    return f": {listed(some, 3)}" if some else ""


def check_is_run(path: Path) -> None:
    """Raise UserError unless the path is the directory of a run."""
    if not path.is_dir():
        _check_no_file(path)
        raise UserError(f"no run '{path}'. {_meant(path) or 'regbench ls lists the runs there are'}")
    if not (path / RUN).exists():
        raise UserError(f"{path}: is not the directory of a run; regbench ls {path} lists those below it")


def command(overrides: Sequence[object]) -> str:
    """Write the command of a run as a person types it, quoted for a shell."""
    words = (_SHORTER.sub("", str(word)) for word in overrides)
    return " ".join(["regbench train", *map(shlex.quote, words)])
