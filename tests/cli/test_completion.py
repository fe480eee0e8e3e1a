"""Completion: what is offered, and that three real shells offer it."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regbench.cli import complete, completion_index
from regbench.cli.completion import SCRIPTS
from support import Ended

Invoke = Callable[..., Ended]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the index in it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        completion_index.rebuild()
    return folder


@pytest.fixture
def index(cache: Path) -> dict[str, Any]:
    return json.loads(next(cache.rglob("completion-*.json")).read_bytes())


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two studies, a run in one of them."""
    (tmp_path / "runs/norms/mlp-s0-0123456789ab").mkdir(parents=True)
    (tmp_path / "runs/norms/mlp-s0-0123456789ab/run.json").touch()
    (tmp_path / "runs/rates").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("summ", ["summary"]),
        ("train nor", ["norm=", "norm_position="]),
        ("train norm=b", ["norm=batch"]),
        ("train -m norm=batch,layer,r", ["norm=batch,layer,rms"]),
        ("train norm=batch,ba", []),
        ("train optimizer=sgd optimizer.mom", ["optimizer.momentum="]),
        ("train optimizer.mom", []),  # adam has none
        ("train init=kaiming init.mode=", ["init.mode=fan_in", "init.mode=fan_out"]),
        ("train max_norm=", ["max_norm=null"]),
        ("train batch_size=", ["batch_size=100"]),
        ("train drop_last=", ["drop_last=true", "drop_last=false"]),
        ("train tracker=m", ["tracker=mlflow"]),
        ("train study=r", ["study=rates"]),
        ("train +study=norms", ["+study=norms", "+study=norms_tuned"]),
        ("train -m hydra/launcher=pro", ["hydra/launcher=processes"]),
        ("train --unt", ["--until-decided"]),
        ("train --cfg j", ["job"]),
        ("summary --by optimizer.l", ["optimizer.lr", "optimizer.lr_decay", "optimizer.line_search_fn"]),
        ("summary --by norm init, --format m", ["md"]),
        ("summary --by norm ini", ["init", "init.bias", "init.gain"]),
        ("summary --correction=h", ["--correction=holm"]),
        ("summary --baseline norm=l", ["norm=layer"]),
        ("summary runs/r", ["runs/rates/"]),
        ("ls runs/norms/", ["runs/norms/mlp-s0-0123456789ab"]),
        ("explain norm=batch init=x", ["init=xavier"]),
        ("plot fo", ["forest"]),
        ("options opt", ["optimizer"]),
        ("summary -o t", []),  # a file
    ],
)
def test_what_is_offered(words: str, expected: list[str], index: dict[str, Any]) -> None:
    found = complete.candidates(complete.words_of(f"regbench {words}"), index)
    assert set(expected) <= set(found) if words.endswith("ini") or "optimizer.l" in words else list(found) == expected


def test_own_options_are_offered(index: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "conf/norm").mkdir(parents=True)
    (tmp_path / "conf/norm/mine.yaml").touch()
    assert list(complete.candidates(["train", "--config-dir", "conf", "norm=m"], index)) == ["norm=mine"]


def test_bash_gets_what_follows_the_equals_sign(index: dict[str, Any]) -> None:
    assert complete.answer("bash", ["train", "norm=b"], index) == "batch\n"
    assert complete.answer("fish", ["train", "norm=b"], index).startswith("norm=batch\t")


def test_words_are_those_of_a_shell() -> None:
    assert complete.words_of("regbench train 'seed=range(0, 5)' nor") == ["train", "seed=range(0, 5)", "nor"]
    assert complete.words_of("regbench ls ") == ["ls", ""]


def test_an_old_index_serves_while_a_new_one_is_made(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    started: list[object] = []
    monkeypatch.setattr(completion_index.subprocess, "Popen", lambda command, **_: started.append(command))
    known = completion_index.known()
    assert "norm" in known["axes"] and not started
    monkeypatch.setattr(completion_index, "_stamp", lambda: "another")
    assert completion_index.known() == known
    assert len(started) == 1


def test_completion_imports_nothing_that_takes_time(cache: Path) -> None:
    program = (
        "import sys; sys.argv = ['regbench', '_complete', 'zsh', 'train', 'norm=b'];"
        "from regbench.cli.main import main; main();"
        "print({'torch', 'pandas', 'hydra', 'pydantic', 'click', 'rich', 'yaml', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
    assert "norm=batch" in done.stdout


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", "data/bash-completion/completions/regbench"),
        ("fish", "conf/fish/completions/regbench.fish"),
        ("zsh", "home/.zshrc"),
    ],
)
def test_installing_twice_is_installing_once(
    shell: str, place: str, invoke: Invoke, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    for name, value in {"XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "conf", "ZDOTDIR": "home"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setattr(completion_index, "rebuild", dict)
    assert invoke("completion", shell, "--install").out == f"installed in {tmp_path / place}: start a new shell\n"
    once = (tmp_path / place).read_text()
    assert once == SCRIPTS[shell] or shell == "zsh"
    invoke("completion", shell, "--install")
    assert (tmp_path / place).read_text() == once


def test_there_is_no_other_shell(invoke: Invoke) -> None:
    ended = invoke("completion", "tcsh")
    assert ended.code == 2 and "'tcsh'" in ended.err


def _typed(shell: list[str], lines: list[str], keys: str, wanted: str, environment: dict[str, str]) -> str:
    """Type into an interactive shell in a pseudo-terminal, until what is wanted is on the screen."""
    process, screen = pty.fork()
    if process == 0:
        os.execvpe(shell[0], shell, environment)
    seen = ""
    try:
        os.write(screen, "".join(f"{line}\n" for line in [*lines, "echo rea''dy"]).encode())
        end = time.monotonic() + 120
        typed = False
        while time.monotonic() < end and not (typed and wanted in seen):
            if select.select([screen], [], [], 0.2)[0]:
                seen += os.read(screen, 65536).decode(errors="replace").replace("\a", "")
            if not typed and "ready\r\n" in seen:
                seen, typed = "", True
                os.write(screen, keys.encode())
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(screen)
    return seen


def _needs(shell: str) -> str:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    return path


@pytest.fixture
def environment(cache: Path) -> dict[str, str]:
    if not (Path(sys.executable).parent / "regbench").exists():
        pytest.skip("regbench is not installed as a command here")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(cache), "TERM": "dumb", "PS1": "> "}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "wanted"),
    [("train norm=bat", "norm=batch"), ("summ", "summary"), ("ls runs/no", "runs/norms/")],
)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_tab_completes(shell: str, words: str, wanted: str, environment: dict[str, str], tmp_path: Path) -> None:
    path = _needs(shell)
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell])
    quiet = {"bash": ["--norc", "-i"], "zsh": ["-f", "-i"]}[shell]
    begin = {"bash": [], "zsh": ["autoload -Uz compinit; compinit -u -D"]}[shell]
    seen = _typed([path, *quiet], [*begin, f"source {script}"], f"regbench {words}\t", wanted, environment)
    assert wanted in seen


@pytest.mark.slow
def test_fish_completes(environment: dict[str, str], tmp_path: Path) -> None:
    path = _needs("fish")
    script = tmp_path / "regbench.fish"
    script.write_text(SCRIPTS["fish"])
    lines = ("train norm=ba", "summ", "summary -o scr")
    command = "; ".join([f"source {script}", *(f"complete -C 'regbench {line}'" for line in lines)])
    done = subprocess.run(
        [path, "--no-config", "-c", command], capture_output=True, text=True, env={**environment, "HOME": str(tmp_path)}
    )
    first, second, *files = done.stdout.splitlines()
    assert first.startswith("norm=batch\t")
    assert second.startswith("summary\t")
    assert not files
