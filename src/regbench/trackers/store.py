"""Where a tracker keeps what it is told, and how far it has been told: so that nothing is written twice."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from regbench.errors import UserError
from regbench.records.files import write_atomically
from regbench.trackers.story import Mark, Story

_LEDGER, _LOCK = "regbench-exported.json", ".regbench-exported.lock"


class Store(Protocol):
    """A tracker's store, open inside a `with` block; one process at a time writes there."""

    place: str

    def __enter__(self) -> "Store":
        """Open it."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def known(self, story: Story) -> Mark | None:
        """Return how much of this training of the run is there; None for nothing."""

    def add(self, story: Story, after: int) -> None:
        """Write the epochs after `after`, and the status; note that they are there."""


class FolderStore:
    """A store that is a folder, with a file in it that says what is there."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)
        self.folder = place
        self._stack = ExitStack()
        self._marks: dict[str, Mark] = {}

    def __enter__(self) -> "FolderStore":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UserError(f"{self.place}: must be a folder, and a file stands there") from None
        self._stack.enter_context(FileLock(self.folder / _LOCK))
        ledger = self.folder / _LEDGER
        known = json.loads(ledger.read_bytes()) if ledger.exists() else {}
        self._marks = {key: Mark(*mark) for key, mark in known.items()}
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def known(self, story: Story) -> Mark | None:
        """Return how much of this training of the run is there."""
        return self._marks.get(story.key)

    def add(self, story: Story, after: int) -> None:
        """Write what is new, and note it."""
        self.write(story, after, self._name(story))
        self._marks[story.key] = story.mark
        write_atomically(self.folder / _LEDGER, json.dumps(self._marks, indent=1).encode())

    def write(self, story: Story, after: int, name: str) -> None:
        """Write the epochs after `after` and the status, under a name that no other training of the run has."""
        raise NotImplementedError

    def _name(self, story: Story) -> str:
        """Name the run; one that is trained again gets the time as well."""
        place = f"{story.study}/{story.name} "
        earlier = [key for key in self._marks if key.startswith(place)]
        first = not earlier or earlier[0] == story.key
        return story.name if first else f"{story.name}-{story.started:%Y%m%dT%H%M%S}"
