"""The Python interface: train and sweep; runs, epochs and comparisons as DataFrames."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import pandas as pd

from regbench.analysis import summary
from regbench.analysis.corrections import Correction
from regbench.analysis.groups import config_keys, differing
from regbench.analysis.table import Against
from regbench.config.calls import checked_call
from regbench.errors import UserError, no_such
from regbench.records import epochs
from regbench.records import frame as records
from regbench.records.files import STATES
from regbench.records.frame import Runs
from regbench.records.metrics import Selection
from regbench.tables.choices import SHOWN
from regbench.tables.record import to_frame
from regbench.text import shown

if TYPE_CHECKING:
    from regbench.experiment.trained import Trained
    from regbench.records.run_status import RunStatus

_Progress = Literal["off", "plain", "bar", "auto"]
_Dirs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@checked_call
def load(dirs: _Dirs = "runs") -> pd.DataFrame:
    """Load one row per run below the directories: flat config keys, facts, figures of both selections as fractions.

    `attrs["duplicates"]` holds the paths that were left out, `attrs["unreadable"]` damaged files
    with the reason.

    Raises:
        UserError: a directory does not exist, or none of them holds a run.
    """
    paths = [dirs] if isinstance(dirs, str | os.PathLike) else list(dirs)
    if not paths:
        raise UserError(f"load({dirs!r}): needs at least one folder")
    for path in paths:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise UserError(f"load({path!r}): must be the path of a folder of runs")
    runs = records.load(paths)
    runs.frame.attrs |= {"duplicates": list(runs.duplicates), "unreadable": dict(runs.unreadable)}
    return runs.frame


@checked_call
def curves(dirs: _Dirs | pd.DataFrame = "runs") -> pd.DataFrame:
    """Load one row per epoch and run: path, status, seed, the config keys that differ, all columns of metrics.csv.

    `dirs` are directories, or rows of `load`.

    Raises:
        UserError: there is no run, or none with an epoch.
    """
    frame = dirs if isinstance(dirs, pd.DataFrame) else load(dirs)
    present = [key for key in ("study", "seed") if key in config_keys(frame)]
    return epochs.curves(frame, [*present, *differing(frame)])


@checked_call
def compare(
    frame: pd.DataFrame,
    by: str | Sequence[str] = (),
    baseline: str | Mapping[str, object] | None = None,
    *,
    metric: str | Sequence[str] = "test_acc",
    select: Selection = "best_val",
    margin: float | None = None,
    correction: Correction = "holm",
    where: str | Sequence[str] | None = None,
    status: str | Sequence[str] = (),
    sort: str | None = None,
    test_noise: bool = False,
    show: str | Sequence[str] = (),
    tune: str | Sequence[str] = (),
    anytime: bool = False,
    shrink: bool = False,
) -> pd.DataFrame:
    """Make the table of `regbench summary --format csv`: one row per group and metric, figures as fractions.

    `attrs["notes"]` holds the footer.

    Args:
        frame: rows of `load`, all or some.
        by: a key or several; by default those that differ.
        baseline: `"norm=none"`, `{"norm": "none"}`, or `"default"`: the default run.
        metric: a recorded figure, `NAME` or `NAME:lower`, or several.
        select: the epoch whose figures count: that of the best validation loss, or the last.
        margin: differences smaller than this do not matter; in percentage points for accuracies.
        correction: for many comparisons.
        where: a condition on the runs, or several that must all hold.
        status: only runs that ended so, like `"completed"`.
        sort: a key or column, `-` before it reverses the order.
        test_noise: add the uncertainty that comes from the choice of test images.
        show: `["seeds"]` adds the figure of each seed.
        tune: keys whose values each row chooses, for each seed by validation on the seeds before it.
        anytime: p, intervals and verdicts that stay valid however often seeds are added.
        shrink: add the column `shrunk`, means without what is luck.

    Raises:
        UserError: the metric, a key, column or baseline does not exist; `anytime` has no baseline.
    """
    metrics, columns = _listed(metric), _listed(show)
    _check_frame(frame)
    if not metrics:
        raise UserError("compare(metric=[]): needs at least one metric")
    for name in columns:
        if name not in SHOWN:
            raise UserError(f"compare(show={name!r}): {no_such('column', name, 'the table', SHOWN)}")
    for state in _listed(status):
        if state not in STATES:
            raise UserError(f"compare(status={state!r}): {no_such('value', state, 'status', STATES)}")
    for name, given in (("margin", margin is not None), ("anytime", anytime)):
        if given and not baseline:
            raise UserError(f"compare({name}=…): needs a baseline, as it is about the verdicts")
    texts = [f"{key}={shown(value)}" for key, value in baseline.items()] if isinstance(baseline, Mapping) else baseline
    against = Against([texts] if isinstance(texts, str) else texts, margin, correction, anytime) if texts else None
    left_out = tuple(frame.attrs.get("duplicates", ())), frame.attrs.get("unreadable", {})
    runs = Runs(frame.reset_index(drop=True), *left_out)
    tables = [
        summary.compare(
            runs,
            _listed(by),
            name,
            select,
            against=against,
            where=where,
            sort=sort,
            test_noise=test_noise,
            statuses=_listed(status),
            tune=_listed(tune),
            shrink=shrink,
        )
        for name in metrics
    ]
    return to_frame(tables, columns)


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def _check_frame(frame: pd.DataFrame) -> None:
    """Raise UserError unless the frame has rows of `load`."""
    if "status" not in frame:
        raise UserError("compare(frame=<DataFrame>): must hold rows of regbench.load, and has no column 'status'")
    if frame.empty:
        raise UserError("compare(frame=<DataFrame>): has no rows")


@checked_call
def train(*words: str, progress: _Progress = "off", **values: object) -> "RunStatus":
    """Train one run as `regbench train` does, unless it is trained already: `train("norm=batch", epochs=1)`.

    Its directory is `path`; `state` is `completed`, `diverged` or `failed` (then `error` says why), and `result` holds
    the figures: `result["best_val"]["test_acc"]`.

    Args:
        words: what follows `regbench train` on the command line, without flags: `"norm=batch"`, `"+experiment=NAME"`.
        progress: `"plain"` prints a line for each epoch, `"auto"` draws a bar on a terminal.
        values: the same with Python's values: `epochs=1`, `**{"optimizer.lr": 0.1, "model.hidden": [64, 64]}`.

    Raises:
        UserError: a name or value is wrong; nothing has been written.
    """
    from regbench.cli import in_python  # Hydra and torch take seconds to import

    return in_python.train(words, _with_progress(words, values, progress))


@checked_call
def sweep(
    *words: str,
    progress: _Progress = "off",
    until_decided: bool = False,
    baseline: str | None = None,
    margin: float | None = None,
    max_seeds: int | None = None,
    **values: object,
) -> pd.DataFrame:
    """Train all combinations as `regbench train -m` does: `sweep("norm=none,batch", seed=range(5), epochs=1)`.

    Returns the rows of `load` for exactly these runs, in the order of the sweep; those that failed have their status.

    Args:
        words: what follows `regbench train -m` on the command line: `"norm=none,batch"`, `"+study=norms"`.
        progress: `"plain"` prints a line for each run that ends, `"auto"` draws bars on a terminal.
        until_decided: train seeds in rounds, more of those rows that `compare(anytime=True)` leaves undecided.
        baseline: what rows are compared with then, `"norm=none"`; by default what the sweep's own table would take.
        margin: differences smaller than this do not matter then, in percentage points.
        max_seeds: the most seeds of a row then; by default 50.
        values: the same with Python's values; a list, tuple or range holds several: `norm=["none", "batch"]`. One value
            that is a list itself stands in another: `**{"model.hidden": [[64, 64]]}`.

    Raises:
        UserError: a name or value is wrong in one of the runs; nothing has been trained then.
    """
    from regbench.cli import in_python

    ends = {"baseline": baseline, "margin": margin, "max_seeds": max_seeds}
    goal = {"until_decided": until_decided} | {key: value for key, value in ends.items() if value is not None}
    if len(goal) > 1 and not until_decided:
        raise UserError(f"{list(goal)[1]}: belongs to until_decided=True")
    paths = in_python.sweep(words, _with_progress(words, values, progress), goal)
    if not paths:
        raise UserError("hydra.sweeper.max_seconds: the time was over before a run began")
    places = {str(path): place for place, path in enumerate(paths)}
    return load(paths).sort_values("path", key=lambda column: column.map(places), ignore_index=True)


@checked_call
def load_model(run: str | os.PathLike[str]) -> "Trained":
    """Load the network of a completed run, a `torch.nn.Module` in evaluation mode on the CPU.

    It takes pixels [n, 28, 28] from 0 to 255 and returns logits [n, classes]; `classes` holds their names:
    `model(torch.zeros(1, 28, 28)).softmax(1)`.

    Args:
        run: its directory, or a short name as in `regbench ls`.

    Raises:
        UserError: it is no completed run, or its weights cannot be read.
    """
    from regbench.experiment import trained
    from regbench.records.names import run_path_of

    if not os.fspath(run):
        raise UserError("load_model(''): must be the folder of a run")
    return trained.load_model(run_path_of(os.fspath(run)))


def _with_progress(words: Sequence[str], values: Mapping[str, object], progress: str) -> dict[str, object]:
    """Add how progress is shown, unless the caller has set it as a value of the config.

    Raises:
        UserError: a word is no text.
    """
    key = "runtime.progress"
    if wrong := [word for word in words if not isinstance(word, str)]:
        raise UserError(f"{shown(wrong[0])}: a word must be text; * takes a list apart: regbench.train(*words)")
    given = key in values or any(word.startswith(key) for word in words)
    return {**values} if given else {**values, key: progress}
