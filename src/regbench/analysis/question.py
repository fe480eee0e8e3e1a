"""What a picture or a table is asked about: runs, rows, a figure, a baseline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from regbench.analysis.selection import Where, selected
from regbench.analysis.summary import compare
from regbench.analysis.table import LOST, Against, Table, ends
from regbench.records.frame import Runs
from regbench.records.metrics import Selection


@dataclass(frozen=True)
class Question:
    """A question about runs, in the words of `regbench summary`: see `summary.compare`."""

    runs: Runs
    by: Sequence[str] = ()
    columns: Sequence[str] = ()
    metrics: Sequence[str] = ()
    select: Selection = "best_val"
    where: Where = None
    statuses: Sequence[str] = ()
    against: Against | None = None
    sort: str | None = None
    tune: Sequence[str] = ()
    shrink: bool = False

    def frame(self) -> pd.DataFrame:
        """Return the runs that the question is about."""
        return selected(self.runs, self.where, self.select, self.statuses, [*self.by, *self.columns]).frame

    def table(self, metric: str = "test_acc") -> Table:
        """Compare the runs; `metric` counts unless the question names one."""
        name = next(iter(self.metrics), metric)
        return compare(
            self.runs,
            self.by,
            name,
            self.select,
            columns=self.columns,
            against=self.against,
            where=self.where,
            sort=self.sort,
            statuses=self.statuses,
            tune=self.tune,
            shrink=self.shrink,
        )

    def sorted_by(self, sort: str) -> "Question":
        """Return the same question with rows in another order, unless it names one."""
        return replace(self, sort=self.sort or sort)


def lost(statuses: Sequence[str]) -> "dict[str, int]":
    """Count the runs that are in no figure, by how they ended, in the order of LOST."""
    names = {"running": "unfinished", "interrupted": "unfinished"}
    found = [names.get(status, status) for status in statuses]
    return ends(*map(found.count, LOST))
