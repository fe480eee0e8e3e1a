"""TensorBoard: a folder of event files for each run, written by the tensorboard package alone."""

import io
import os
import platform
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.metadata import create_summary_metadata
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from regbench.records.files import FINAL, write_atomically
from regbench.records.rows import Histogram
from regbench.text import shown
from regbench.trackers.store import FolderStore
from regbench.trackers.story import Story

_NAME, _VERSION = "events.out.tfevents", "brain.Event:2"  # of a file that TensorBoard reads
_PLAIN = (bool, int, float, str)


class TensorBoard(FolderStore):
    """`<folder>/<study>/<run>`; the hparams page averages the seeds of a group."""

    def write(self, story: Story, after: int, name: str) -> None:
        """Add an event file with what is new, whole or not at all.

        The package's own writer of files has a thread, whose errors nobody hears of.
        """
        folder, content = self.folder / story.study / name, io.BytesIO()
        records = RecordWriter(content)
        for event in (Event(wall_time=time.time(), file_version=_VERSION), *_events(story, after)):
            records.write(event.SerializeToString())
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(
            folder / f"{_NAME}.{time.time():.0f}.{platform.node()}.{os.getpid()}.{after}", content.getvalue()
        )


def _events(story: Story, after: int) -> Iterator[Event]:
    begun = story.started.timestamp()
    if not after:
        yield Event(wall_time=begun, summary=_parameters(story))
        yield Event(wall_time=begun, summary=_text("run", f"`{story.path}`"))
    spread = story.histograms(after)
    for epoch, moment, figures in story.figures(after):
        values = [Summary.Value(tag=name, simple_value=figure) for name, figure in figures.items()]
        values += [_histogram(found) for found in spread if found.epoch == epoch]
        yield Event(wall_time=moment, step=epoch, summary=Summary(value=values))
    end = story.finished.timestamp() if story.finished else begun + sum(row["seconds"] for row in story.rows)
    error = f": {story.error}" if story.error else ""
    yield Event(wall_time=end, step=len(story.rows), summary=_text("status", f"{story.status}{error}"))
    if story.status in FINAL:
        values = [Summary.Value(tag=f"final/{name}", simple_value=figure) for name, figure in story.final.items()]
        yield Event(wall_time=end, step=len(story.rows), summary=Summary(value=values))
        yield Event(wall_time=end, summary=_session_end(story.status == "completed", end))


def _parameters(story: Story) -> Summary:
    """Describe the config; the seed is none of it, so that the runs of a group are sessions of one trial."""
    values: dict[str, Any] = {
        key: value if isinstance(value, _PLAIN) else shown(value)
        for key, value in story.parameters.items()
        if key != "seed"
    }
    summary: Summary = hparams_pb(values, trial_id=story.group, start_time_secs=story.started.timestamp())
    return summary


def _session_end(success: bool, end: float) -> Summary:
    """End the session that `_parameters` began; the package's own function needs TensorFlow."""
    info = SessionEndInfo(status=STATUS_SUCCESS if success else STATUS_FAILURE, end_time_secs=end)
    about = hparams.create_summary_metadata(HParamsPluginData(session_end_info=info))
    return Summary(value=[Summary.Value(tag=hparams.SESSION_END_INFO_TAG, metadata=about, tensor=hparams.NULL_TENSOR)])


def _text(tag: str, text: str) -> Summary:
    value = Summary.Value(tag=tag, tensor=make_tensor_proto(np.array([text], dtype=object)))
    value.metadata.plugin_data.plugin_name = "text"
    return Summary(value=[value])


def _histogram(histogram: Histogram) -> Summary.Value:
    """Write the bins as rows of left edge, right edge, count."""
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    bins = np.stack([edges[:-1], edges[1:], histogram.counts], axis=1).astype(np.float64)
    return Summary.Value(
        tag=f"{histogram.layer}/{histogram.quantity}",
        tensor=make_tensor_proto(bins),
        metadata=create_summary_metadata(display_name=None, description=None),
    )
