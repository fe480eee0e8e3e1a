"""A Ray cluster: connect to it or start it here, and ask what it has."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray

from regbench.errors import UserError
from regbench.sweep.engines import ray_nodes
from regbench.sweep.engines.ray_nodes import first_line

_QUIET = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
_SECONDS_TO_ANSWER = 10  # for a head, which answers at once


class Cluster:
    """The cluster that an engine uses, from the first `connect` until `leave`."""

    def __init__(self, address: str | None, init: Mapping[str, Any]) -> None:
        """`address`: None means RAY_ADDRESS, or Ray started on this machine, whatever else runs here."""
        self._address, self._init = address or os.environ.get("RAY_ADDRESS") or "local", init
        self._named = f"{'hydra.launcher.address' if address else 'RAY_ADDRESS'}={self._address}"
        self._ours = self._checked = False

    @property
    def name(self) -> str:
        """Where it is, in words."""
        return "Ray on this machine" if self._address == "local" else f"Ray at {self._address}"

    def connect(self) -> None:
        """Connect, unless this process is connected.

        Raises:
            UserError: nobody answers at the address, or Ray refuses an argument.
        """
        if ray.is_initialized():
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        if self._address != "local":
            self._check_answers()
        try:
            with _same_end():
                ray.init(address=self._address, **{**_QUIET, **self._init})
        except (Exception, SystemExit) as error:  # Ray raises a dozen kinds, and leaves where its head does
            what = f"hydra.launcher.init={dict(self._init)}" if self._init else f"hydra/launcher=ray: {self.name}"
            raise UserError(f"{what}: Ray says: {type(error).__name__}: {first_line(error)}") from None
        self._ours = True

    def leave(self) -> None:
        """Disconnect, and end the cluster if it was started here."""
        if self._ours:
            ray.shutdown()
        self._ours = self._checked = False

    def resources(self) -> list[dict[str, float]]:
        """Return what each living node has: `{"CPU": 8.0, "GPU": 1.0, …}`."""
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def check_nodes(self, folder: Path, environment: Mapping[str, Any]) -> None:
        """Have each node show, once, that it imports this version and sees the folder of the runs.

        Raises:
            UserError: a node cannot: its runs would train where nobody sees them.
        """
        if self._checked or self._address == "local":
            return
        place = folder.absolute()
        there = next(parent for parent in (place, *place.parents) if parent.is_dir())
        file = there / f".{uuid4().hex}.tmp"
        file.touch()
        try:
            ray_nodes.check(file, environment)
        finally:
            file.unlink(missing_ok=True)
        self._checked = True

    def _check_answers(self) -> None:
        """Raise UserError unless a head answers at the address: Ray itself tries for minutes."""
        address = _found(self._address)
        if not address:
            raise UserError(f"{self._named}: no Ray cluster runs on this machine. Without it Ray is started here")
        host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
        if not port.isdecimal():
            raise UserError(f"{self._named}: must be HOST:PORT, ray://HOST:PORT, auto or local")
        where = f" at {address}" * (self._address == "auto")
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER).close()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self._named}: no Ray cluster answers{where} ({reason})") from None
        if not address.startswith("ray://") and (reason := self._refusal(address)):
            raise UserError(f"{self._named}: no Ray cluster answers{where} ({reason})")

    def _refusal(self, address: str) -> str | None:
        """Return why the head at an address will not have this process; None if it will."""
        error = _error_of_head(address)
        if not isinstance(error, ray.exceptions.AuthenticationError):
            return None if error is None else first_line(error)
        mode = os.environ.get("RAY_AUTH_MODE")
        if mode == "token":
            return "it wants another token: copy ~/.ray/auth_token of its head to this machine"
        by_itself = mode is None and self._address == "auto"  # Ray takes the token that it finds
        return None if by_itself else "it wants a token: set RAY_AUTH_MODE=token"


def _found(address: str) -> str:
    """Return the address that `auto` means on this machine, nothing without a cluster, or the address itself."""
    if address != "auto":
        return address
    from ray._private import services  # Ray has no public function for it, and its own init waits for a dead head

    return str(services.find_bootstrap_address(None) or next(iter(services.find_gcs_addresses()), ""))


def _error_of_head(address: str) -> Exception | None:
    """Ask the head for its name, as `ray health-check` does; return what it raises, if anything."""
    errors: list[Exception] = []

    def ask() -> None:
        try:
            ray._raylet.GcsClient(address=address)  # type: ignore[attr-defined]
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)  # Ray's own limit is 40 s
    with _nothing_on_stderr():
        thread.start()
        thread.join(_SECONDS_TO_ANSWER)
    silence = [TimeoutError(f"no head of Ray within {_SECONDS_TO_ANSWER} s")] * thread.is_alive()
    return next(iter([*errors, *silence]), None)


@contextmanager
def _same_end() -> Iterator[None]:
    """Have SIGTERM end the process as before: Ray's handler shows where each thread is first."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _nothing_on_stderr() -> Iterator[None]:
    """Drop what Ray's library in C++ writes meanwhile: a line for each attempt."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
