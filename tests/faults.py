"""Commands of which one file operation fails, or kills the process: the layer between Python and the system.

Each command runs in a fork of a process that has imported everything: `Forks`. Operations are numbered by what they do
to which file: `open runs/s/run/run.json #2` is the second time that it is opened. Threads change no such number.
"""

import builtins
import errno
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EMFILE")
FAULTS = (*ERRORS, "a kill")
STREAMS = ("closed", "full", "gone")  # `>&-`, `>/dev/full`, a pipe whose reader has left
_AUDITED = ("open", *(f"os.{name}" for name in ("listdir", "scandir", "mkdir", "remove", "rmdir", "rename", "symlink")))
_ON_PATHS = ("stat", "lstat")
_RANDOM = re.compile(
    r"(?<=[-._/])(?:[0-9a-z_]{8}|\d{9,}[\w.-]*)(?=$|[./])|\d+-\d+-\d+_[\w.-]*"
)  # names of temporary files
_SECONDS = 120  # after which a command hangs


class Layer:
    """Counts the file operations of this process below a folder; the target fails."""

    def __init__(self, folder: Path, target: str | None, fault: str) -> None:
        self._folder, self._target, self._fault = str(folder), target, fault
        self._counts: Counter[str] = Counter()
        self._busy = threading.local()
        self.seen: list[str] = []

    def install(self) -> None:
        """Stand in the way of everything from here; there is no way back."""
        sys.addaudithook(self._audit)
        for name in _ON_PATHS:
            setattr(os, name, self._before(name, getattr(os, name)))
        os.fsync = lambda file: self._meet("fsync", file)  # and wait for no disk
        os.write = self._before("write", os.write)
        fcntl.flock = self._before("flock", fcntl.flock)
        builtins.open = io.open = self._opening(io.open)

    def _before(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, *arguments: Any, **options: Any) -> Any:
            self._meet(name, file, options.get("dir_fd"))
            return function(file, *arguments, **options)

        return call

    def _opening(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, *arguments: Any, **options: Any) -> Any:
            opened = function(file, *arguments, **options)
            for name in ("read", "write"):
                with suppress(AttributeError):  # a file that is not buffered
                    setattr(opened, name, self._before_part(name, file, getattr(opened, name)))
            return opened

        return call

    def _before_part(self, name: str, file: Any, method: Callable[..., Any]) -> Callable[..., Any]:
        path = self._path(file)

        def call(*arguments: Any) -> Any:
            self._meet(name, path)
            return method(*arguments)

        return call

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _AUDITED:
            folder = arguments[-1] if event in ("os.mkdir", "os.remove", "os.rmdir") else None
            self._meet(event.removeprefix("os."), arguments[0], folder)

    def _path(self, file: Any, folder: int | None = None) -> str:
        if hasattr(file, "fileno"):
            file = file.fileno()
        if isinstance(file, int):
            with suppress(OSError):
                return str(Path(f"/proc/self/fd/{file}").readlink())
            return ""
        if not isinstance(file, str | bytes | os.PathLike):
            return ""
        within = Path.cwd() if folder in (None, -1) else Path(self._path(folder))
        return os.path.normpath(within / os.fsdecode(file))

    def _meet(self, name: str, file: Any, folder: int | None = None) -> None:
        """Count one operation; raise the fault if it is the target."""
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            path = self._path(file, folder)
            if path != self._folder and not path.startswith(f"{self._folder}/"):
                return
            what = f"{name} {_RANDOM.sub('*', os.path.relpath(path, self._folder))}"
            self._counts[what] += 1
            self.seen.append(f"{what} #{self._counts[what]}")
            if self.seen[-1] == self._target:
                self._strike(path)
        finally:
            self._busy.now = False

    def _strike(self, path: str) -> None:
        if self._fault == "a kill":
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self._fault)
        raise OSError(number, os.strerror(number), path)


@dataclass(frozen=True)
class Trial:
    """How a command ended: its exit code, -9 if it was killed; what it did to files."""

    code: int
    out: str
    err: str
    seen: list[str]

    @property
    def was_met(self) -> bool:
        """Whether the operation that was to fail took place."""
        return bool(self.seen) or self.code == -signal.SIGKILL


class Forks:
    """A process that has imported all of regbench, and starts each command as a fork of itself."""

    def __init__(self) -> None:
        path = os.pathsep.join(str(Path(__file__).parent / name) for name in ("../src", ""))
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "COLUMNS": "120"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(
        self, folder: Path, *words: str, target: str | None = None, fault: str = "", out: str = "", err: str = ""
    ) -> Trial:
        """Run `regbench WORDS` in a folder; the target among its operations fails. Streams may be one of STREAMS."""
        asked = {"folder": str(folder), "words": words, "target": target, "fault": fault, "out": out, "err": err}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Trial(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _import_everything() -> None:
    import hydra_plugins
    import regbench

    for package in (regbench, hydra_plugins):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in (
        "tensorboard.summary.writer.record_writer",
        "bokeh.plotting",
        "matplotlib.pyplot",
        "torch._dynamo",
    ):
        importlib.import_module(name)


def _read_configs() -> None:
    """Have Hydra know its own files and conf/ in every fork."""
    from regbench.cli.train import train

    with suppress(SystemExit), redirect_stdout(io.StringIO()):
        train(["--cfg", "job"])


def _stream(number: int, kind: str, path: Path) -> Any:
    """Make a standard stream as the shell would: into a file, or one of STREAMS."""
    path.write_text("")
    if kind == "closed":
        os.close(number)
        return None
    if kind == "gone":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open("/dev/full" if kind == "full" else path, os.O_WRONLY)
    os.dup2(writer, number)
    os.close(writer)
    return open(number, "w", buffering=1 if number == 2 else -1, closefd=False)


def _flushed() -> bool:
    """Whether Python may end: what it cannot write then, it complains about, and leaves with 120."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        return False
    return True


def _child(asked: dict[str, Any], results: Path) -> None:
    """Be the command, from a fork on."""
    from regbench.cli.main import main

    folder, words, target, fault = Path(asked["folder"]), asked["words"], asked["target"], asked["fault"]
    sys.stdout, sys.stderr = (
        _stream(*what) for what in ((1, asked["out"], results / "out"), (2, asked["err"], results / "err"))
    )
    os.chdir(folder)
    os.environ |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(folder / "cache")}
    sys.argv = ["regbench", *words]
    layer = Layer(folder, target, fault)
    layer.install()
    code = 1
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
    except BaseException:
        traceback.print_exc()
    code = code if _flushed() else 120
    met = layer.seen if target is None else [target] if target in layer.seen else []
    (results / "seen").write_text(json.dumps(met))
    os._exit(code)


def _serve() -> None:
    """Answer each line of the standard input, which names a command, by a line that says how it ended."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _import_everything()
    with files_read_once(), tempfile.TemporaryDirectory() as name:
        _read_configs()
        gc.freeze()  # a collection would visit every object of torch, and copy its pages
        for line in sys.stdin:
            answers.write(json.dumps(_answer(json.loads(line), Path(name))) + "\n")
            answers.flush()


def _answer(asked: dict[str, Any], results: Path) -> dict[str, Any]:
    (results / "seen").write_text("[]")
    if (child := os.fork()) == 0:
        _child(asked, results)
    ends = time.monotonic() + _SECONDS
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > ends:
            os.kill(child, signal.SIGABRT)  # no test expects that
        time.sleep(0.01)
    said = {name: (results / name).read_text(errors="replace") for name in ("out", "err")}
    return {"code": os.waitstatus_to_exitcode(ended[1]), **said, "seen": json.loads((results / "seen").read_text())}


if __name__ == "__main__":
    from support import files_read_once

    _serve()
