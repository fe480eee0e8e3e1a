"""Which configs the cache says were checked: only a finished run is found by it, and only by the same program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from regbench.errors import UserError
from regbench.experiment import checked_before, checks
from regbench.experiment.checked_before import FILES

RUN = ["model.hidden=[8]", "data.train_size=100", "data.val_size=50", "epochs=1", "runtime.cache=cache"]
NORMS = ["-m", *RUN, "norm=none,batch", "clip_norm=1", "clip_norm_type=inf"]
SWEEP = [*NORMS, "seed=0,1"]


@pytest.fixture
def count(monkeypatch) -> list[object]:
    """What was checked since."""
    checked: list[object] = []
    original = checks.check
    monkeypatch.setattr(checks, "check", lambda values: checked.append(values) or original(values))
    return checked


def only_file() -> Path:
    (file,) = Path("cache").glob(FILES)
    return file


def test_a_finished_run_is_found_without_a_check(train, count):
    train(*RUN)
    assert len(count) == 1
    assert train(*RUN).out.startswith("already trained")
    assert len(count) == 1


@pytest.mark.slow
def test_a_finished_sweep_is_planned_without_a_check_whatever_its_seeds(train, count):
    train(*SWEEP)
    assert len(count) == 4
    again = train(*SWEEP)
    assert "4 runs: 4 done already" in again.out
    assert len(count) == 4
    assert "6 runs: 4 done already, 2 to train" in train(*NORMS, "seed=0,1,2", "--plan").out
    assert len(count) == 6
    assert len(only_file().read_text().splitlines()) == 3  # of the program, and of each norm


@pytest.mark.slow
@pytest.mark.parametrize("more", ["force=true", "seed=1", "batch_size=50", "dropout=0.1"])
def test_what_trains_is_checked(train, count, more):
    train(*RUN)
    train(*RUN, more)
    assert len(count) == 2


def test_another_program_checks_again_and_the_first_still_knows(train, count, monkeypatch):
    train(*RUN)
    with monkeypatch.context() as patch:
        patch.setattr(checked_before, "_program", lambda: "another" * 10)
        assert train(*RUN).out.startswith("already trained")
        assert train(*RUN).out.startswith("already trained")
    assert len(count) == 2
    train(*RUN)
    assert len(count) == 2


def test_files_of_programs_that_are_gone_are_removed(train, monkeypatch):
    for number in range(6):
        monkeypatch.setattr(checked_before, "_program", lambda number=number: f"{number}" * 64)
        train(*RUN)
        for file in Path("cache").glob(FILES):
            os.utime(file, (moment := file.stat().st_mtime - 60, moment))
    assert sorted(file.name[8] for file in Path("cache").glob(FILES)) == ["2", "3", "4", "5"]


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"{}\n[]\n7\n", None])
def test_a_damaged_cache_is_no_cache(train, count, content):
    train(*RUN)
    file = only_file()
    if content is None:
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(content)
    ended = train(*RUN)
    assert (ended.code, ended.err) == (0, "")
    assert len(count) == 2


def test_damaged_lines_are_not_believed(train, count):
    train(*RUN)
    file = only_file()
    file.write_text(file.read_text().replace('"epochs": 1', '"epochs": -1'))
    assert train(*RUN).out.startswith("already trained")
    assert len(count) == 2


def test_a_check_that_refuses_is_not_remembered(train, monkeypatch):
    def refuse(config: object) -> None:
        raise UserError("no")

    monkeypatch.setattr("regbench.experiment.train.check_techniques", refuse)
    assert train(*RUN).code == 2
    assert not Path("cache").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [RUN, [*SWEEP, "--plan"]])
def test_what_is_finished_needs_no_torch(train, words):
    train(*words[: -1 if "--plan" in words else None])
    script = "import sys\nfrom regbench.cli.main import main\nsys.argv = ['regbench', 'train', *sys.argv[1:]]\n"
    script += "try: main()\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "0 False"
    assert ended.stderr == ""
