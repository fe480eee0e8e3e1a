"""Trackio: a project for each study, a group for the seeds of a config, in a folder of this machine."""

import io
import os
from contextlib import redirect_stdout
from pathlib import Path

from regbench.trackers.store import FolderStore
from regbench.trackers.story import Story


class Trackio(FolderStore):
    """A folder with a database for each study."""

    def __init__(self, place: Path) -> None:
        os.environ["TRACKIO_DIR"] = str(place)  # read when trackio is imported
        super().__init__(place)

    def write(self, story: Story, after: int, name: str) -> None:
        """Write what is new."""
        import trackio

        with redirect_stdout(io.StringIO()):  # it prints where its page is
            trackio.init(
                project=story.study,
                name=name,
                group=story.group,
                config={**story.parameters, "path": str(story.path)},
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
            for epoch, _, figures in story.figures(after):
                trackio.log(figures, step=epoch)
            if story.final:
                trackio.log({f"final/{key}": figure for key, figure in story.final.items()}, step=len(story.rows))
            trackio.finish()
