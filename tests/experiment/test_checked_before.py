"""Which configs the cache says were checked: only a finished run is found by it, and only by the same program."""

import subprocess
import sys
from pathlib import Path

import pytest

from regbench.errors import UserError
from regbench.experiment import checks
from regbench.experiment.checked_before import FILE

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


def test_a_finished_run_is_found_without_a_check(train, count):
    train(*RUN)
    assert len(count) == 1
    assert train(*RUN).out.startswith("already trained")
    assert len(count) == 1


def test_a_finished_sweep_is_planned_without_a_check_whatever_its_seeds(train, count):
    train(*SWEEP)
    assert len(count) == 4
    again = train(*SWEEP)
    assert "4 runs: 4 done already" in again.out
    assert len(count) == 4
    assert "6 runs: 4 done already, 2 to train" in train(*NORMS, "seed=0,1,2", "--plan").out
    assert len(count) == 6
    assert len(Path("cache", FILE).read_text().splitlines()) == 3  # of the program, and of each norm


@pytest.mark.parametrize("more", ["force=true", "seed=1", "batch_size=50", "dropout=0.1"])
def test_what_trains_is_checked(train, count, more):
    train(*RUN)
    train(*RUN, more)
    assert len(count) == 2


def test_another_program_checks_again(train, count):
    train(*RUN)
    file = Path("cache", FILE)
    file.write_text(file.read_text().replace(file.read_text()[:8], "another1", 1))
    assert train(*RUN).out.startswith("already trained")
    assert len(count) == 2
    train(*RUN)
    assert len(count) == 2  # the file has begun anew


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"{}\n[]\n7\n", None])
def test_a_damaged_cache_is_no_cache(train, count, content):
    train(*RUN)
    file = Path("cache", FILE)
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
    file = Path("cache", FILE)
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
