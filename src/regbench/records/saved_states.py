"""The saved states of a run in its directory: the last one, and the one before for the case that it is damaged."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.records import checkpoint
from regbench.records.files import CHECKPOINT, EARLIER, write_atomically

if TYPE_CHECKING:
    from regbench.records.checkpoint import Needs


class SavedStates:
    """Reads and writes them; one goes to disk while the next epoch trains."""

    def __init__(self, run: Path, identity: str, needs: "Callable[[], Needs] | None" = None) -> None:
        """`needs` makes what a saved state is held against, once there is one."""
        self._run, self._identity, self._needs = run, identity, needs
        self.damaged: dict[str, str] = {}  # the files that are not used, each with the reason
        self._writer = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    @property
    def any_there(self) -> bool:
        """Whether there is a state, which may be damaged."""
        return any((self._run / name).exists() for name in (CHECKPOINT, EARLIER))

    def read(self) -> dict[str, Any] | None:
        """Read the state after the last saved epoch; None without one.

        One that is damaged, or does not fit the run, is noted in `damaged`, and the one before is taken.
        """
        with suppress(OSError):  # then the checkpoint before holds
            self.settle()
        self.damaged = {}
        return self._read(CHECKPOINT) or self._read(EARLIER)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            needs = self._needs() if self._needs and (self._run / name).exists() else None
            return checkpoint.read(self._run / name, self._identity, needs)
        except FileNotFoundError:
            return None
        except checkpoint.DamagedError as error:
            self.damaged[name] = str(error)
            return None

    def save(self, state: Mapping[str, Any]) -> None:
        """Put the state after an epoch in the place of the last one, as soon as that is on disk."""
        content = checkpoint.encode({**state, "identity": self._identity})
        self.settle()
        self._pending = self._writer.submit(self._replace, content)

    def _replace(self, content: bytes) -> None:
        with suppress(FileNotFoundError):  # the first
            (self._run / CHECKPOINT).replace(self._run / EARLIER)
        write_atomically(self._run / CHECKPOINT, content)

    def adopt(self, other: Path, identity: str) -> None:
        """Take over the state of the run in another directory.

        Raises:
            DamagedError: it is damaged, or not the state of the run with this identity.
            OSError: it is missing, or cannot be written.
        """
        state = checkpoint.read(other / CHECKPOINT, identity)
        write_atomically(self._run / CHECKPOINT, checkpoint.encode({**state, "identity": self._identity}))

    def remove(self, all_but_last: bool = False) -> None:
        """Remove what nobody needs any more."""
        for name in (CHECKPOINT, EARLIER)[all_but_last:]:
            (self._run / name).unlink(missing_ok=True)

    def settle(self) -> None:
        """Wait for the state on its way to disk, and raise what went wrong there."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def close(self) -> None:
        """End the thread that writes."""
        self._writer.shutdown()
