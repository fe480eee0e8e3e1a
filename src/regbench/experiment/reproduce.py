"""Train a run again in a temporary folder, and check that every number matches."""

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator
from typing_extensions import TypedDict  # which pydantic wants before Python 3.12

from regbench.config.defaults import completed
from regbench.config.run_config import ID_LENGTH
from regbench.errors import UserError
from regbench.experiment.checks import check, check_machine, check_techniques
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.experiment.train import record
from regbench.records import correct_images, epochs
from regbench.records.correct_images import Correct
from regbench.records.files import METRICS, RUN
from regbench.records.frame import load
from regbench.records.metrics import SELECTIONS
from regbench.records.run_json import Recorded, UnreadableError, content_of, parse, why
from regbench.training.machine import whole

_TOLERANCE = 1e-5  # relative: what rounding of float32 sums in another order grows to in a few epochs
_LEFT_OUT = (
    "seconds",
    "gap",
)  # the first never repeats; the second is a small difference of two figures that are compared themselves
_STACKED = 1e-2  # a run of a stack is trained again alone: with batch norm the difference grew to 6e-4 in 20 steps


class _Machine(TypedDict):
    threads: Any


class _Reproducible(Recorded):
    """What is read of a run.json."""

    machine: _Machine
    overrides: list[str] | None = None
    stack: int | None = None

    @field_validator("config")
    @classmethod
    def _has_runtime(cls, config: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(config.get("runtime"), dict):
            raise ValueError("runtime is missing")
        return config

    @property
    def figures(self) -> dict[str, dict[str, float | None]]:
        """The figures of both selections."""
        return {name: getattr(self.result, name) for name in SELECTIONS}


@dataclass(frozen=True)
class Outcome:
    """How two runs compare. `first` says in words where they differ first; None where they do not."""

    verdict: Literal["bitwise equal", "equal within tolerance", "different"]
    figures: int
    largest: float
    first: str | None
    limit: float = _TOLERANCE  # of relative differences
    images: int = 0  # compared, at the last and the chosen epoch; 0 where the recorded run does not hold them
    flipped: int = 0  # images that are classified differently

    def finite(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it: an infinite difference is None."""
        return asdict(self) | {"largest": self.largest if math.isfinite(self.largest) else None}


def reproduce(path: Path, reporter: Reporter) -> Outcome:
    """Train a run again from its recorded config, in a directory that is deleted afterwards.

    Raises:
        UserError: the path holds no completed run, or this program cannot train it.
    """
    frame = load([path])
    if len(frame.frame) != 1 or frame.frame["status"].tolist() != ["completed"]:
        raise UserError(f"{path}: must be the directory of one completed run")
    place = Path(frame.frame["path"].iloc[0])
    recorded = _record(place)
    if fault := epochs.fault(place, recorded.figures["last"].get("epoch") or 0):
        raise UserError(f"{place / METRICS} cannot be read: {fault}")
    with tempfile.TemporaryDirectory() as folder:
        config = check(_config(recorded, folder, reporter.mode))
        check_techniques(config)
        run = Run(config, recorded.overrides or [])
        if (before := recorded.data_digest) not in (None, run.data_digest):
            first = f"the data: digest {before[:ID_LENGTH]}, now {run.data_digest[:ID_LENGTH]}"
            return Outcome("different", 0, math.inf, first)
        with run.directory() as directory:
            record([run], [directory], whole(config, check_machine(config)), reporter)
        again = run.status()
        if again.result is None:
            return Outcome("different", 0, math.inf, f"status: completed, now {again.state}")
        figures = list(_figures(place, recorded.figures)), list(_figures(again.path, again.result))
        outcome = compared(*figures, _STACKED if (recorded.stack or 1) > 1 else _TOLERANCE)
        return _with_images(outcome, correct_images.read(place), correct_images.read(again.path))


def _record(run: Path) -> _Reproducible:
    """Read what is needed to train a run again.

    Raises:
        UserError: its run.json lacks a part.
    """
    try:
        return parse(content_of(run), _Reproducible)
    except (OSError, UnreadableError) as error:
        raise UserError(f"{run / RUN} {why(error)}: cannot be trained again") from None


def _config(recorded: _Reproducible, folder: str, progress: str) -> dict[str, Any]:
    """Return the recorded config, with a place of its own and the user's own cache: the recorded one is another's."""
    threads = recorded.machine["threads"]  # not auto: other sums come from another number
    own = {"dir": folder, "progress": progress, "threads": threads, "cache": None, "tracker": "none"}
    return completed({**recorded.config, "force": False}, **own)


def _with_images(outcome: Outcome, before: Correct | None, now: Correct | None) -> Outcome:
    """Compare image by image: where all figures are equal, no image may be classified differently."""
    if before is None or now is None or (before.images, before.test_set) != (now.images, now.test_set):
        return outcome
    flipped = sum(int((before.of(name) != now.of(name)).sum()) for name in SELECTIONS)
    outcome = replace(outcome, images=len(SELECTIONS) * before.images, flipped=flipped)
    odd = flipped and outcome.verdict == "bitwise equal"
    return replace(outcome, verdict="different", largest=1.0, first="the test images") if odd else outcome


def _figures(run: Path, result: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """List what must repeat, in the order of time: each epoch's columns, then the final figures."""
    for row in epochs.read(run, completed=True):
        yield from (
            (f"epoch {row['epoch']:.0f}, {name}", value) for name, value in row.items() if name not in _LEFT_OUT
        )
    for selection in SELECTIONS:
        for name, value in result[selection].items():
            yield f"{selection}.{name}", math.nan if value is None else float(value)


def compared(before: list[tuple[str, float]], now: list[tuple[str, float]], limit: float = _TOLERANCE) -> Outcome:
    """Compare figures by name: equal bit for bit, or within a relative limit, or different."""
    if [name for name, _ in before] != [name for name, _ in now]:
        odd = next(iter({name for name, _ in before} ^ {name for name, _ in now}), "the order of figures")
        return Outcome("different", min(len(before), len(now)), math.inf, f"{odd}: recorded by one of the runs only")
    unequal = [(n, a, b) for (n, a), (_, b) in zip(before, now, strict=True) if not (a == b or (a != a and b != b))]
    far = [(n, a, b) for n, a, b in unequal if not math.isclose(a, b, rel_tol=limit)]
    largest = max(
        (abs(a - b) / max(abs(a), abs(b)) if math.isfinite(a - b) else math.inf for _, a, b in unequal), default=0
    )
    shown = (far or unequal)[:1]
    first = f"{shown[0][0]}: {shown[0][1]!r}, now {shown[0][2]!r}" if shown else None
    verdict: Any = "different" if far else "equal within tolerance" if unequal else "bitwise equal"
    return Outcome(verdict, len(before), largest, first, limit)
