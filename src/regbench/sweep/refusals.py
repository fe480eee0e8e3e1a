"""Which runs of a sweep are refused: the shortest combination of overrides that they share, and how to leave it out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from regbench.condition import condition
from regbench.config.run_config import flat
from regbench.errors import RefusedRunsError, UserError
from regbench.experiment.run import Run
from regbench.text import plural

_MOST_KEYS = 4  # of a combination
_MOST_COMBINATIONS = 3  # that are shown
_TEXT = re.compile(r"[A-Za-z_]\w*|-?\d+(\.\d+)?([eE][+-]?\d+)?")


class _Known(Protocol):
    """What is kept of a job: its overrides, and the values of its config by their keys."""

    @property
    def overrides(self) -> Sequence[str]: ...
    def values(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Passed:
    """A job that was checked: its run takes a twentieth of the memory of what it was composed of."""

    run: Run

    @property
    def overrides(self) -> Sequence[str]:
        """Those of the run."""
        return self.run.overrides

    def values(self) -> Mapping[str, Any]:
        """Those of the run's config."""
        return dict(flat(self.run.config.dump()))


class Refusals:
    """Collects why jobs are refused, so that the message can say which."""

    def __init__(self) -> None:
        self._jobs: list[_Known] = []
        self._errors: dict[int, Exception] = {}

    @contextmanager
    def of(self, job: _Known) -> Iterator[None]:
        """Note the job, and why it is refused if the block raises.

        Raises:
            UserError: reading the data fails, which would take its time for every run.
        """
        self._jobs.append(job)
        try:
            yield
        except (UserError, HydraException, OmegaConfBaseException) as error:
            if isinstance(error.__context__, OSError):
                raise
            self._errors[len(self._jobs) - 1] = error

    def passed(self, run: Run) -> None:
        """Keep the run of the job noted last in its place."""
        self._jobs[-1] = Passed(run)

    def raise_first(self) -> None:
        """Raise the first error, if there is one: a RefusedRunsError unless every job has one, or it says which."""
        if not self._errors:
            return
        reason = next(iter(self._errors.values()))
        alike = {place for place, error in self._errors.items() if _first_line(error) == _first_line(reason)}
        found = _combinations([job.overrides for job in self._jobs], alike)
        if len(self._errors) == len(self._jobs) or _says(str(reason), found):
            raise reason
        shown = ", ".join(" ".join(words) for words in found[:_MOST_COMBINATIONS])
        where = _where(found, self._jobs, alike)
        cure = f". To leave {'it' if len(alike) == 1 else 'them'} out: where='{where}'" if where else ""
        raise RefusedRunsError(reason, f"In {len(alike)} of {plural(len(self._jobs), 'run')}: {shown}{cure}")


def _first_line(error: Exception) -> str:
    """Return what is wrong; the second line of Hydra's errors repeats the value."""
    return str(error).partition("\n")[0]


def _says(reason: str, found: Sequence[Sequence[str]]) -> bool:
    """Whether a reason names the combination: a wrong value needs no other words."""
    if len(found) != 1 or len(found[0]) != 1:
        return False
    key, _, value = found[0][0].partition("=")
    return any(text in reason for text in (f"{key}={value}", f"'{key.lstrip('+')}/{value}'"))


def _combinations(jobs: Sequence[Sequence[str]], refused: set[int]) -> list[list[str]]:
    """List the combinations of overrides that together all refused jobs have, and no other job."""
    holders: dict[str, set[int]] = {}
    for place, words in enumerate(jobs):
        for word in words:
            holders.setdefault(word, set()).add(place)
    left, found = set(refused), list[list[str]]()
    while left:
        words = _shortest(jobs[min(left)], holders, refused, len(jobs))
        found.append(words)
        left -= _sharing(words, holders) if words else left
    return found


def _shortest(words: Sequence[str], holders: Mapping[str, set[int]], refused: set[int], total: int) -> list[str]:
    """Return the fewest overrides of a job that no accepted job has together; of several, those of most jobs."""
    differing = [word for word in words if len(holders[word]) < total]
    for size in range(1, _MOST_KEYS + 1):
        shared = {chosen: _sharing(chosen, holders) for chosen in combinations(differing, size)}
        only_refused = sorted(
            ((len(jobs), chosen) for chosen, jobs in shared.items() if jobs <= refused), key=lambda pair: -pair[0]
        )
        if only_refused:
            return list(only_refused[0][1])
    return differing


def _sharing(words: Sequence[str], holders: Mapping[str, set[int]]) -> set[int]:
    """Return the jobs that have all the overrides."""
    first, *rest = (holders[word] for word in words)
    return first.intersection(*rest)


def _where(found: Sequence[Sequence[str]], jobs: Sequence[_Known], refused: set[int]) -> str | None:
    """Write the condition that leaves out the refused jobs and no other; None if there is none."""
    if len(found) > _MOST_COMBINATIONS or not all(found):
        return None
    text = " and ".join(map(_without, found))
    try:
        holds = condition(text)
        kept = {place for place, job in enumerate(jobs) if holds(job.values())}
    except (UserError, OmegaConfBaseException):
        return None
    return text if kept == set(range(len(jobs))) - refused else None


def _without(words: Sequence[str]) -> str:
    """Write the condition that a combination is not there."""
    if len(words) == 1:
        return f"{_key(words[0])} != {_literal(words[0])}"
    return f"not ({' and '.join(f'{_key(word)} == {_literal(word)}' for word in words)})"


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+").removeprefix("runtime.study") or "study"


def _literal(word: str) -> str:
    value = word.partition("=")[2]
    if value.lower() in ("true", "false", "null"):
        return value.lower()
    return value if _TEXT.fullmatch(value) or value.startswith("[") else repr(value)
