"""Weights & Biases: a project for each study, a group for the seeds of a config. Offline unless WANDB_MODE is set."""

import hashlib
import os
from typing import Any

import numpy as np
import wandb
from numpy.typing import NDArray

from regbench.records.rows import Histogram
from regbench.trackers.store import FolderStore
from regbench.trackers.story import Story


class WandB(FolderStore):
    """A folder with `wandb/offline-run-…`; `wandb sync` sends it."""

    def write(self, story: Story, after: int, name: str) -> None:
        """Write what is new; parts of a run have one id, which puts them together."""
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        run = wandb.init(
            project=story.study,
            group=story.group,
            name=name,
            id=hashlib.sha256(story.key.encode()).hexdigest()[:16],
            resume="allow",
            config=dict(story.parameters),
            tags=[story.status],
            notes=str(story.path),
            dir=self.place,
            mode=mode,
            reinit="finish_previous",
            settings=_settings(),
        )
        for epoch, _, figures in story.figures(after):
            spread = {
                f"{found.layer}/{found.quantity}": wandb.Histogram(np_histogram=(found.counts, _edges(found)))
                for found in story.histograms(after)
                if found.epoch == epoch
            }
            run.log({**figures, **spread}, step=epoch)
        run.summary.update({**{f"final/{key}": figure for key, figure in story.final.items()}, "status": story.status})
        run.finish(exit_code=int(story.status in ("failed", "diverged")))


def _edges(histogram: Histogram) -> NDArray[np.float64]:
    return np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)


def _settings() -> "wandb.Settings":
    """Let wandb record nothing of its own, and stay silent."""
    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
