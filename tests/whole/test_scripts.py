"""The scripts that make the environment, on a small project of the same shape: real venv, real pip, no network."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("cksum", "mv", "readlink", "rm")  # all that the scripts may take for granted beside a Python
FIRST = r"regbench: makes .venv with Python 3\.\S+\nregbench: installs what pyproject.toml asks for .*; the first .*\n"
WAITS = "regbench: waits for another call that is installing\n"
CHANGES = count()
LIMIT = 300  # seconds, against a test that hangs

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "regbench"
version = "1"
"""

# Builds when it is allowed to, so that a test can interrupt, overlap or break an installation at a known moment.
BACKEND = """\
import pathlib, shutil, time
here = pathlib.Path(__file__).parent

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    (here / "building").touch()
    while (here / "hold").exists():
        time.sleep(0.02)
    if (here / "broken").exists():
        raise SystemExit("this build is broken on purpose")
    return shutil.copy(next(here.glob("wheels/regbench-*")), wheel_directory).rpartition("/")[2]
"""

PROGRAM = """\
import json, os, sys

def main():
    print(json.dumps({"arguments": sys.argv[1:], "directory": os.getcwd(), "process": os.getpid()}))
    sys.exit(7 if "fail" in sys.argv else 0)

if __name__ == "__main__":
    main()
"""


def write_wheel(folder: Path, name: str, files: dict[str, str], metadata: str = "", entry_points: str = "") -> None:
    """Write the smallest wheel that pip installs."""
    info = f"{name}-1.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points,
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as wheel:
        for file, text in (files | {f"{info}/RECORD": record}).items():
            wheel.writestr(file, text)


class Project:
    """A checkout with the real scripts, a program that says how it was called, and a machine with little installed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        self.venv = self.root / ".venv"
        self.machine = folder / "bin"
        shutil.copytree(ROOT / "scripts", self.root / "scripts", symlinks=True)
        (self.root / "scripts/bench.py").write_text(PROGRAM)
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "program.py").write_text(PROGRAM)
        self._write_wheels()
        self.machine.mkdir()
        for tool in TOOLS:
            (self.machine / tool).symlink_to(shutil.which(tool) or tool)
        self.add_command("python3", f'exec "{sys.executable}" "$@"')

    def _write_wheels(self) -> None:
        wheels = self.root / "wheels"
        wheels.mkdir()
        write_wheel(
            wheels,
            "regbench",
            {"regbench.pth": "../../../.."},
            "Provides-Extra: dev\nRequires-Dist: pytest; extra == 'dev'\n",
            "[console_scripts]\nregbench = program:main\n",
        )
        write_wheel(wheels, "pytest", {"pytest.py": PROGRAM})

    def add_command(self, name: str, line: str) -> None:
        (self.machine / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.machine / name).chmod(0o755)

    def start(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": str(self.machine),
            "HOME": str(self.machine),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": (self.root / "wheels").as_uri(),
            **variables,
        }
        return subprocess.Popen(
            command or [self.root / "scripts/regbench"],
            cwd=cwd or self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(
        self, script: str = "regbench", *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return finish(self.start(self.root / "scripts" / script, *arguments, cwd=cwd))

    def change_pyproject(self) -> None:
        (self.root / "pyproject.toml").write_text(PYPROJECT + f'description = "change {next(CHANGES)}"\n')

    def mark(self, name: str) -> Path:
        """A file in site-packages that only a rebuild of the environment takes away."""
        return next(self.venv.glob("lib/python*/site-packages")) / name

    def log(self) -> str:
        """What pip wrote."""
        return (self.venv / "install.log").read_text("utf-8")


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=LIMIT)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def interrupt(process: subprocess.Popen[str], how: str) -> None:
    if how == "kill -9 script":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGINT if how == "Ctrl-C" else signal.SIGKILL)
    assert process.wait(LIMIT) == (-signal.SIGINT if how == "Ctrl-C" else -signal.SIGKILL)


@pytest.fixture(autouse=True, scope="module")
def ctrl_c_works() -> Iterator[None]:
    """Whoever runs the tests in the background ignores Ctrl-C, and what the tests start would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose first call has been made; the tests that share it leave it whole."""
    project = Project(tmp_path_factory.mktemp("installed"))
    first = project.call("regbench", "first")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["arguments"] == ["first"], "the program alone writes to standard output"
    assert re.fullmatch(FIRST, first.stderr), "two lines, whatever pip writes"
    assert "Successfully installed regbench" in project.log()
    yield project


def test_a_machine_without_a_suitable_python_is_told_so_in_one_line(project: Project) -> None:
    project.add_command("python3", f"""exec "{sys.executable}" -c 'import sys; sys.exit("too old")'""")
    project.add_command("python3.12", "echo 'a shim without a Python behind it' >&2; exit 127")
    result = project.call()
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: needs Python 3.11, 3.12 or 3.13 with its venv module")
    assert result.stderr.count("\n") == 1 and not project.venv.exists()


def test_the_scripts_accept_the_pythons_that_pyproject_accepts() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    text = (ROOT / "scripts/environment.sh").read_text()
    lowest, above = (tuple(map(int, bound.strip("<>=").split("."))) for bound in asked.split(","))
    assert f"assert {lowest} <= sys.version_info < {above}" in text
    for minor in range(lowest[1], above[1]):
        assert f" python3.{minor} " in text
        assert f"3.{minor}" in text[text.index("needs Python") :]


@pytest.mark.slow
class TestAfterTheFirstCall:
    def test_nothing_is_installed_or_said_and_no_python_is_looked_for(self, installed: Project) -> None:
        python = installed.machine / "python3"
        away = python.rename(installed.machine / "away")
        result = installed.call("regbench", "a b", "--flag=*")
        away.rename(python)
        assert (result.returncode, result.stderr) == (0, "")
        assert json.loads(result.stdout)["arguments"] == ["a b", "--flag=*"]

    def test_a_call_runs_three_small_tools_before_the_program(self, installed: Project, tmp_path: Path) -> None:
        log, machine = tmp_path / "log", installed.machine
        installed.machine = tmp_path / "bin"
        installed.machine.mkdir()
        for tool in machine.iterdir():
            installed.add_command(tool.name, f'echo {tool.name} >>"{log}"; exec "{tool}" "$@"')
        result = installed.call()
        installed.machine = machine
        assert (result.returncode, result.stderr) == (0, "")
        assert sorted(log.read_text().split()) == ["cksum", "readlink", "readlink"]

    def test_the_program_takes_the_place_of_the_script(self, installed: Project) -> None:
        process = installed.start(installed.root / "scripts/regbench", "fail")
        result = finish(process)
        assert result.returncode == 7
        assert json.loads(result.stdout)["process"] == process.pid, "so exit code and signals are the program's own"

    def test_it_runs_where_it_was_called_even_by_a_link(self, installed: Project, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(installed.root / "scripts/regbench")
        (tmp_path / "link to link").symlink_to("link")
        for command in (installed.root / "scripts/regbench", tmp_path / "link", "./link to link"):
            result = finish(installed.start(command, cwd=tmp_path))
            assert (result.returncode, result.stderr) == (0, "")
            assert json.loads(result.stdout)["directory"] == str(tmp_path)

    def test_bench_runs_where_it_was_called(self, installed: Project, tmp_path: Path) -> None:
        result = installed.call("bench", "epoch", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert json.loads(result.stdout)["directory"] == str(tmp_path)
        assert json.loads(result.stdout)["arguments"] == ["epoch"]


@pytest.mark.slow
def test_development_tools_are_added_for_the_tests_and_stay(installed: Project, tmp_path: Path) -> None:
    project = installed
    first = project.call("test", "-x", cwd=tmp_path)
    assert first.returncode == 0 and "Successfully installed pytest" in project.log()
    assert json.loads(first.stdout)["arguments"] == ["-x"]
    assert json.loads(first.stdout)["directory"] == str(project.root)

    assert project.call().stderr == "", "an environment for development is good for a run as well"

    project.change_pyproject()
    project.mark("kept").touch()
    changed = project.call()
    assert changed.returncode == 0 and "Successfully installed regbench" in project.log()
    assert project.call("test").stderr == "", "the development tools were kept up to date too"
    assert project.mark("kept").exists(), "a change installs into the environment that is there"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "moment"),
    [
        pytest.param("Ctrl-C", "in the making of .venv", marks=pytest.mark.stress),
        pytest.param("kill -9 all", "in the making of .venv", marks=pytest.mark.stress),
        pytest.param("kill -9 script", "in the making of .venv", marks=pytest.mark.stress),
        ("Ctrl-C", "in the installation"),
        pytest.param("kill -9 script", "in the installation", marks=pytest.mark.stress),
        pytest.param("kill -9 all", "in a later installation", marks=pytest.mark.stress),
    ],
)
def test_an_interrupted_installation_is_made_anew(request: pytest.FixtureRequest, how: str, moment: str) -> None:
    later = moment == "in a later installation"
    project: Project = request.getfixturevalue("installed" if later else "project")
    if later:
        project.change_pyproject()
        (project.root / "building").unlink()
    hold, building = project.root / "hold", project.root / "building"
    hold.touch()
    process = project.start()
    if moment == "in the making of .venv":
        wait_for(lambda: any(project.venv.glob("lib/python*/site-packages/pip/__init__.py")))  # a pip, but half of one
    else:
        wait_for(building.exists)
        project.mark("half_installed.py").touch()
    interrupt(process, how)

    goes_on = how == "kill -9 script"  # what the script had started
    if not goes_on:
        building.unlink(missing_ok=True)
    again = project.start()
    if not goes_on:
        wait_for(building.exists)
    second = project.start()
    for waiting in [again, second] if goes_on else [second]:
        assert waiting.stderr is not None and waiting.stderr.readline() == WAITS
    hold.unlink()
    for process in (again, second):
        result = finish(process)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)
    assert goes_on or result.stderr == "", "two calls at once install once: the second found all done"
    assert "Successfully installed regbench" in project.log()
    assert not project.mark("half_installed.py").exists()
    assert project.call().stderr == ""


@pytest.mark.slow
def test_a_failed_installation_says_so_and_the_next_call_goes_on_in_place(installed: Project) -> None:
    project = installed
    project.change_pyproject()
    (project.root / "broken").touch()
    project.mark("kept").touch()
    failed = project.call()
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.endswith("\nerror: the installation failed, see above; the same command tries again\n")
    assert "this build is broken on purpose" in failed.stderr
    assert f"regbench: all of it is in {project.venv}/install.log\n" in failed.stderr
    (project.root / "broken").unlink()
    assert project.call().returncode == 0
    assert project.mark("kept").exists()


@pytest.mark.slow
@pytest.mark.stress
def test_an_environment_that_lost_its_python_or_its_place_is_mended(installed: Project) -> None:
    project = installed
    python = project.venv / "bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    mended = project.call()
    assert mended.returncode == 0 and "makes .venv" in mended.stderr

    project.root = project.root.rename(project.root.with_name("moved"))
    project.venv = project.root / ".venv"
    moved = project.call()
    assert moved.returncode == 0 and json.loads(moved.stdout)
    assert project.call().stderr == ""


@pytest.mark.slow
def test_torch_may_come_from_an_index_of_its_own(project: Project, tmp_path: Path) -> None:
    for name in ("torch", "torchvision"):
        place = tmp_path / "index" / name
        place.mkdir(parents=True)
        write_wheel(place, name, {f"{name}.py": "pass\n"})
        wheel = next(place.glob("*.whl")).name
        (place / "index.html").write_text(f"<a href='{wheel}'>{wheel}</a>")
    address = (tmp_path / "index").as_uri()
    result = finish(project.start(REGBENCH_TORCH_INDEX=address, PIP_NO_INDEX="0"))
    assert (result.returncode, bool(re.fullmatch(FIRST, result.stderr))) == (0, True), result.stderr
    assert project.mark("torch.py").exists() and project.mark("torchvision.py").exists()
