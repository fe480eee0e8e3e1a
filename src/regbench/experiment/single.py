"""The run that Hydra composed: told if it is finished, or else checked and trained."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regbench.experiment.checked_before import CheckedBefore
from regbench.experiment.loading import load_torch
from regbench.experiment.reporter import Reporter

if TYPE_CHECKING:
    from regbench.records.run_status import RunStatus


def run(values: Mapping[str, Any], overrides: Sequence[str], title: str = "") -> "RunStatus":
    """Train one run, unless it is trained already, and return what its directory says in the end.

    `values` are those of the composed config, without Hydra's own node; `title` stands above what is shown.

    Raises:
        UserError: something in the config does not fit, or another process trains this run; nothing has been written.
        OSError: the run's files cannot be written.
    """
    before = CheckedBefore()
    if finished := before.finished(values, overrides):
        reporter = Reporter(finished.config.runtime.progress, title=title)
        return reporter.trained_already(finished.status())
    load_torch(values=values)
    from regbench.experiment import train
    from regbench.experiment.checks import check
    from regbench.experiment.run import Run

    checked = Run(check(values), overrides)
    status = train.run(checked, Reporter(checked.config.runtime.progress, title=title))
    before.keep(values, checked)
    return status
