"""A PostgreSQL of its own in a temporary folder: Debian's package postgresql."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS = 60


@contextmanager
def server(driver: str = "postgresql") -> Iterator[Callable[[str], str]]:
    """Run a server; yield what makes a database of a name and returns its URL for Optuna.

    It listens on this machine only. PostgreSQL refuses to run as root: then it runs as the user postgres.
    """
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        Path(folder).chmod(0o755)
        place = Path(folder) / "data"
        place.mkdir()
        if os.getuid() == 0:
            shutil.chown(place, "postgres", "postgres")
        _run("initdb", "-D", str(place), "-U", "regbench", "-A", "trust", "--no-sync")
        settings = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={place}"]
        process = subprocess.Popen(
            [*_program("postgres"), "-D", str(place), *settings, "-c", "fsync=off"], stderr=subprocess.DEVNULL
        )
        here = ["-h", "127.0.0.1", "-p", str(port), "-U", "regbench"]
        try:
            _wait(lambda: subprocess.run([*_program("pg_isready"), *here, "-q", "-d", "postgres"]).returncode == 0)

            def database(name: str) -> str:
                _run("createdb", *here, name)
                return f"{driver}://regbench@127.0.0.1:{port}/{name}"

            yield database
        finally:
            process.send_signal(signal.SIGINT)  # SIGTERM waits for connections that this process may still have
            process.wait()


def _run(name: str, *arguments: str) -> None:
    subprocess.run([*_program(name), *arguments], check=True, stdout=subprocess.DEVNULL)


def _program(name: str) -> list[str]:
    """Write how to call a program of PostgreSQL, which Debian keeps out of PATH; as a user who may."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(places[-1]) if places else None)
    if not found:
        raise SystemExit(f"error: {name}: not installed. Debian: apt-get install postgresql")
    as_user = ["setpriv", f"--reuid={_user()}", f"--regid={_user()}", "--clear-groups"] if os.getuid() == 0 else []
    return [*as_user, found]


def _user() -> int:
    return pwd.getpwnam("postgres").pw_uid


def _wait(is_there: Callable[[], bool]) -> None:
    limit = time.monotonic() + _SECONDS
    while not is_there():
        if time.monotonic() > limit:
            raise SystemExit(f"error: waited {_SECONDS} s for PostgreSQL")
        time.sleep(0.2)
