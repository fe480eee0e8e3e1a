"""MLflow: an experiment for each study, a run for each run; tags say what is there."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from regbench.text import shown
from regbench.trackers.story import Mark, Story

_ENDS = {"completed": "FINISHED", "diverged": "FAILED", "failed": "FAILED", "interrupted": "KILLED"}
_METRICS, _OTHERS, _LONGEST = 1000, 100, 5000  # most in a batch, letters of a parameter or a tag
_KEY, _EPOCHS, _STATUS = "regbench.key", "regbench.epochs", "regbench.status"
_Item = TypeVar("_Item")


class MLflow:
    """A tracking server, or a database like sqlite:///mlflow.db."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> "MLflow":
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._client = MlflowClient(self.place)
        self._experiments: dict[str, str] = {}
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def known(self, story: Story) -> Mark | None:
        """Return how much of this training of the run is there."""
        run = self._run(story)
        return Mark(int(run.data.tags.get(_EPOCHS, 0)), run.data.tags.get(_STATUS, "")) if run else None

    def add(self, story: Story, after: int) -> None:
        """Write what is new, then the tags that say so."""
        run = self._run(story) or self._new_run(story)
        name: str = run.info.run_id
        for batch in _batches(list(_metrics(story, after)), _METRICS):
            self._client.log_batch(name, metrics=batch)
        tags = {_STATUS: story.status, _EPOCHS: str(len(story.rows))} | ({"error": story.error} if story.error else {})
        self._client.log_batch(name, tags=[RunTag(key, text[:_LONGEST]) for key, text in tags.items()])
        if end := _ENDS.get(story.status):
            self._client.set_terminated(name, end, _milliseconds(story.finished) if story.finished else None)

    def _run(self, story: Story) -> Any | None:
        text = story.key.replace("'", "")
        found = self._client.search_runs([self._experiment(story.study)], f"tags.`{_KEY}` = '{text}'", max_results=1)
        return found[0] if found else None

    def _experiment(self, study: str) -> str:
        """Find the experiment of a study, or make it."""
        if study not in self._experiments:
            known = self._client.get_experiment_by_name(study)
            self._experiments[study] = known.experiment_id if known else self._client.create_experiment(study)
        return self._experiments[study]

    def _new_run(self, story: Story) -> Any:
        tags = {_KEY: story.key.replace("'", ""), "regbench.path": str(story.path), "group": story.group}
        run = self._client.create_run(
            self._experiment(story.study), _milliseconds(story.started), tags=tags, run_name=story.name
        )
        parameters = [Param(key, shown(value)[:_LONGEST]) for key, value in story.parameters.items()]
        for batch in _batches(parameters, _OTHERS):
            self._client.log_batch(run.info.run_id, params=batch)
        return run


def _metrics(story: Story, after: int) -> Iterator[Metric]:
    """Yield the figures of the epochs, and the final ones; their times are the run's, so that again is the same."""
    last = _milliseconds(story.started)
    for epoch, moment, figures in story.figures(after):
        last = int(1000 * moment)
        yield from (Metric(name, figure, last, epoch) for name, figure in figures.items())
    moment_of_end = _milliseconds(story.finished) if story.finished else last
    yield from (Metric(f"final/{name}", figure, moment_of_end, 0) for name, figure in story.final.items())


def _milliseconds(moment: Any) -> int:
    return int(1000 * moment.timestamp())


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[first : first + size] for first in range(0, len(items), size))
