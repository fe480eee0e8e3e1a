"""The conditions that the trials of a search must meet."""

from collections.abc import Sequence

from regbench.condition import condition
from regbench.errors import UserError
from regbench.sweep.job import Job


class LeftOutError(UserError):
    """A condition is false."""


class Conditions:
    """The conditions of `where=`; keys of the jobs that were checked are known."""

    def __init__(self, where: Sequence[str]) -> None:
        """Read the conditions.

        Raises:
            UserError: one of them is none.
        """
        self._text = f"where={' and '.join(where)}"
        self._conditions = [condition(text) for text in where]
        self._keys: dict[str, None] = {}

    def check(self, job: Job) -> None:
        """Raise unless all conditions hold.

        Raises:
            LeftOutError: one is false.
        """
        if not self._conditions:
            return
        values = job.values()
        self._keys |= dict.fromkeys(values)
        if not all(holds(values) for holds in self._conditions):
            raise LeftOutError(f"{self._text}: is false")

    def finish(self, kept: int) -> None:
        """Raise unless the keys of the conditions are those of some job, and some jobs were kept.

        Raises:
            UserError: a key is unknown, or the conditions were false for all jobs.
        """
        for expression in self._conditions:
            expression.check(self._keys, "the config")
        if not kept:
            raise UserError(f"{self._text}: is false for each choice and both ends of each interval")
