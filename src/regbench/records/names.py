"""How people name runs: short names instead of paths, and the commands that train them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from regbench.config.run_config import ID_LENGTH
from regbench.config.short_keys import SHORT
from regbench.errors import UserError
from regbench.records.files import RUN

_RUNS = "runs"  # the folder that a short name leaves out
_SHORTER = re.compile(rf"^runtime\.(?=(?:{'|'.join(SHORT)})=)")  # as on the command line
_PART_OF_ID = re.compile(rf"[0-9a-f]{{4,{ID_LENGTH}}}")
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
    wanted = f"*-{path.name}*"
    runs = [*path.parent.glob(wanted), *(_RUNS / path.parent).glob(wanted)]
    if path.parent == Path():
        runs += Path(_RUNS).glob(f"*/{wanted}")
    with_id = ((run, _ID.fullmatch(run.name)) for run in dict.fromkeys(runs))
    runs = [run for run, match in with_id if match and match[1].startswith(path.name)]
    if len(runs) > 1:
        some = ", ".join(map(short_name, sorted(runs)[:3]))
        raise UserError(f"{name}: {len(runs)} runs have such an id. Write more of one: {some}")
    return runs[0] if runs else path


def paths_of(names: Sequence[str | Path]) -> list[Path]:
    """Return what names on a command line mean: paths, or short names as lists print them; `runs` without any."""
    return list(map(run_path_of, names or (_RUNS,)))


def no_directory(path: Path, cure: str) -> UserError:
    """Say that there is no such folder, and what to do unless there is one in `runs`: lists leave that out."""
    inside = _RUNS / path
    meant = f"Did you mean '{inside}'?" if inside.is_dir() else cure
    return UserError(f"no directory '{path}'. {meant}")


def check_is_run(path: Path) -> None:
    """Raise UserError unless the path is the directory of a run."""
    if not path.is_dir():
        raise UserError(f"no run '{path}'. regbench ls lists the runs there are")
    if not (path / RUN).exists():
        raise UserError(f"{path}: is not the directory of a run; regbench ls {path} lists those below it")


def command(overrides: Sequence[object]) -> str:
    """Write the command of a run as a person types it, quoted for a shell."""
    words = (_SHORTER.sub("", str(word)) for word in overrides)
    return " ".join(["regbench train", *map(shlex.quote, words)])
