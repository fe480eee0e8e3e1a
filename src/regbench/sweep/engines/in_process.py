"""Training in the sweep's own process."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regbench.records.queued import announced

if TYPE_CHECKING:
    from regbench.experiment.run import Run
    from regbench.sweep.watch import Watch


class InProcess:
    """The engine of `hydra/launcher=local`."""

    def train(self, runs: "Sequence[Run]", watch: "Watch") -> None:
        """Train one stack after another. No run stops another."""
        from regbench.experiment import train as experiment
        from regbench.sweep.plan import stacks

        divided = stacks(runs)
        watch.follow(divided)
        with announced(run.path for run in runs):
            for stack in divided:
                experiment.train(stack, watch.reporter(stack))

    def close(self) -> None:
        """Keep nothing, so let go of nothing."""
