"""Write down what happens to runs that train together, in the directory of each. A run that fails stops no other."""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from regbench.errors import visible
from regbench.experiment.checks import warnings
from regbench.experiment.continuation import resume_shorter
from regbench.experiment.failure import Failure, diverted_warnings
from regbench.experiment.provenance import heading, recipes
from regbench.experiment.reporter import HEADER, Reporter, resuming, scores
from regbench.experiment.run import Run
from regbench.records.files import RUN, Status
from regbench.records.predictions import Answers, encoded
from regbench.records.rows import Epoch, Progress
from regbench.records.run_dir import RunDir
from regbench.training.trainer import Tests, TrainsRuns

_AT_ONCE = 8  # runs whose files are written side by side: most of writing is waiting for the disk

_Item = TypeVar("_Item")
State = dict[str, Any] | None  # after a run's last saved epoch; None before the first


def _of_damage(directory: RunDir, state: State) -> list[str]:
    """Say in one line that the record or saved states are not used, and what the run does instead."""
    record = [f"{RUN} {directory.damaged_record}"] if directory.damaged_record else []
    found = [*record, *(f"{name} is damaged: {reason}" for name, reason in directory.states.damaged.items())]
    if not found:
        return []
    names = "; ".join(found)
    instead = f"resumes after epoch {state['epoch']}" if state else "begins again"
    return [visible(f"{directory.path / names}. The run {instead}")]


class Recording:
    """The directories of runs that train together, by the runs' places in the trainer."""

    def __init__(self, runs: Sequence[Run], directories: Sequence[RunDir], reporter: Reporter, alone: bool) -> None:
        """`alone`: whether there is one run only, whose errors may then be raised."""
        self.runs, self.directories, self.reporter, self.alone = runs, directories, reporter, alone

    def part(self, places: Sequence[int]) -> "Recording":
        """Take some of the runs."""
        runs, directories = [self.runs[place] for place in places], [self.directories[place] for place in places]
        return Recording(runs, directories, self.reporter, self.alone)

    @property
    def running(self) -> list[int]:
        """The places of the runs that have begun and not ended."""
        return [place for place, directory in enumerate(self.directories) if directory.status.state == "running"]

    def begin(self, facts: Mapping[str, Any]) -> list[State]:
        """Begin or resume every run: the state that each resumes from. `facts` go into run.json.

        Raises:
            OSError: the files of the only run cannot be written.
        """
        return [self._begin(place, facts) for place in range(len(self.runs))]

    def _begin(self, place: int, facts: Mapping[str, Any]) -> State:
        run, directory = self.runs[place], self.directories[place]
        try:
            origin = {**run.origin, **recipes(run.overrides), "data_digest": run.data_digest}
            continuation = resume_shorter(run, directory)
            state = directory.start({**origin, **facts})
            directory.log(*heading(run.overrides, facts), *filter(None, [continuation]))
            if continuation and self.alone:
                self.reporter.say(continuation)
            for warning in [*warnings(run.config), *_of_damage(directory, state)]:
                self.reporter.warn(warning)
                directory.log(f"warning: {warning}")
        except OSError as error:  # no space for it
            if self.alone:
                raise
            directory.give_up(str(error))
            self._warn_of_disk(directory, str(error.strerror or error), error)
            return None
        return state

    def announce(self, about: str, images: int, epochs: int, finished: int) -> None:
        """Show what begins and write it into every log: what is trained, images per epoch, epochs in all, finished."""
        self.reporter.begin(about, images, epochs, finished)
        lines = [*about.splitlines(), *([resuming(finished)] if finished else []), HEADER]
        for place in self.running:
            self._note(place, *lines)

    def _note(self, place: int, *lines: str) -> None:
        """Write into the log of a run; what depends on that file being whole fails elsewhere."""
        with suppress(OSError):
            self.directories[place].log(*lines)

    def library_warnings(self) -> AbstractContextManager[None]:
        """Write what libraries warn of into the logs of the runs that train then, and not onto the screen."""

        def note(text: str) -> None:
            for place in self.running:
                self._note(place, text)

        return diverted_warnings(note)

    def pretrained(self, place: int, row: Progress) -> None:
        """Keep a row of what pre-training did, and show it."""
        self.directories[place].pretrained(row)
        if len(self.runs) == 1:
            self.reporter.say(str(row))

    def save(self, trainer: TrainsRuns, epochs: Mapping[int, Epoch]) -> None:
        """Save an epoch of every run, show it, and drop the runs that cannot be saved."""

        def save(place: int, epoch: Epoch) -> None:
            directory = self.directories[place]
            state = None if epoch.diverged else trainer.state(place)
            directory.save(epoch, state, trainer.layers.get(place, []), trainer.histograms.get(place, []))
            directory.log(self.reporter.line(epoch))
            if epoch.diverged:
                self._end(place, "diverged", f"the loss stopped being finite in epoch {epoch.epoch}")

        trainer.drop(self._side_by_side(save, epochs))
        for epoch in epochs.values():
            self.reporter.epoch(epoch)

    def prune(self, trainer: TrainsRuns) -> None:
        """Stop the runs that their search gives up; one that has trained all of its epochs may as well be tested."""
        pruned = []
        for place in self.running:
            run, directory = self.runs[place], self.directories[place]
            rows = directory.tables.rows
            if run.stop and 0 < len(rows) < run.config.epochs and run.stop(rows):
                directory.prune(len(rows))
                self._note(place, f"{directory.status.state}: {directory.status.error}")
                pruned.append(place)
        trainer.drop(pruned)

    def complete(
        self, trainer: TrainsRuns, tests: Mapping[int, Tests], answers: Answers, cpu_seconds: float | None
    ) -> None:
        """Save the results of the runs.

        Args:
            trainer: trained them.
            tests: loss and accuracy on the test images, by place.
            answers: the right classes of these images.
            cpu_seconds: of all threads, for each run; None where they were not counted from the beginning.
        """

        def complete(place: int, tested: Tests) -> None:
            directory, best = self.directories[place], trainer.best[place]
            assert best is not None, "a test follows an epoch"
            if not all(math.isfinite(loss) for loss, _ in tested.values()):
                self._end(place, "diverged", "the loss on the test images is not finite")
            else:
                predicted = encoded(trainer.predicted[place], answers)
                directory.complete(best.weights, best.epoch, tested, predicted, cpu_seconds)
                result = directory.status.result
                assert result
                self._note(place, *scores(result), f"completed: {result['seconds']:.2f} s of training")

        self._side_by_side(complete, tests)

    def fail(self, place: int, failure: Failure) -> None:
        """Record that a run failed, if that can be written.

        Raises:
            OSError: it cannot, and the run is alone.
        """
        directory = self.directories[place]
        try:
            directory.log(failure.traceback)
            self._end(place, "failed", failure.line)
        except OSError as error:
            if self.alone:
                raise
            directory.give_up(failure.line)
            self._warn_of_disk(directory, f"{failure.line}; nor can that be recorded: {error.strerror}", error)

    def _warn_of_disk(self, directory: RunDir, reason: str, error: OSError) -> None:
        """Say of the first run that its files cannot be written; the end of a sweep names all."""
        self.reporter.warn_once(f"{directory.path}: {reason}", f"{directory.path.parent}: {error.strerror}")

    def interrupt(self, reason: str) -> None:
        """Record that the runs that have not ended were stopped."""
        for place in self.running:
            with suppress(OSError):  # of this run's files: the others have theirs to write
                self._end(place, "interrupted", reason)

    def _end(self, place: int, status: Status, reason: str) -> None:
        """Record how a run ended that is not completed, in run.json and in the log."""
        self.directories[place].end(status, reason)
        self._note(place, f"{status}: {reason}")

    def _side_by_side(self, work: Callable[[int, _Item], None], items: Mapping[int, _Item]) -> list[int]:
        """Write the files of several runs at once; the places of the runs that failed.

        Interrupted, it finishes what it has begun with all of them.
        """

        def succeeds(place: int, item: _Item) -> bool:
            try:
                work(place, item)
            except OSError as error:
                self.fail(place, Failure.of(error))
                return False
            return True

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = {place: pool.submit(succeeds, place, item) for place, item in items.items()}
            wait(futures.values())  # here, as leaving the block lets all of them end
        return [place for place, future in futures.items() if not future.result()]
