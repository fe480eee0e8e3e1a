"""What a sweep leaves word of while it trains, and what the list of runs says of it elsewhere."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from golden.records import record, write
from regbench.errors import UserError
from regbench.records import queued
from regbench.records.listing import listing
from regbench.tables import live, run_list

PLACE = Path("runs/mine")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(number: int) -> list[Path]:
    return [PLACE / f"run{place}" for place in range(number)]


def said() -> str:
    return "\n".join(run_list.footer(listing(["runs"])))


def test_runs_that_no_worker_has_yet_are_queued_from_any_machine() -> None:
    old = write(Path("runs"), record("failed", study="mine"))
    os.utime(old / "run.json", (0, 0))
    runs = [*names(3), old]
    with queued.announced(runs):
        (sweep,) = listing(["runs"]).sweeps
        assert (sweep.is_alive, sweep.runs) == (True, frozenset(names(3)) | {old}), "what failed is trained again"
        assert f"\n4 runs queued by the sweep on {os.uname().nodename} (process {os.getpid()})" in said()
        (old / "run.json").write_text(json.dumps(record("running", study="mine")))
        assert "\n3 runs queued" in said()
        parsed = json.loads(run_list.to_json(listing(["runs"])))
        assert parsed["queued"][0]["runs"] == sorted(map(str, names(3)))
        assert run_list.footer(listing(["runs"]).only(statuses=["failed"])) == ["0 runs"]
    assert list(PLACE.iterdir()) == [old], "nothing is left behind"


def test_a_sweep_that_was_killed_is_gone_until_the_next_one(tmp_path: Path) -> None:
    with queued.announced(names(3)):
        (place,) = PLACE.iterdir()
        kept = {file.name: file.read_bytes() for file in place.iterdir()}
    place.mkdir(parents=True)
    for name, content in kept.items():
        (place / name).write_bytes(content)
    assert f"\n3 runs not begun: the sweep on {os.uname().nodename} (process {os.getpid()}) is gone." in said()
    with queued.announced(names(2)):
        assert "2 runs queued" in said()
        assert "is gone" not in said()
    assert list(PLACE.iterdir()) == []


def test_two_sweeps_of_the_same_runs_count_them_once() -> None:
    with queued.announced(names(3)), queued.announced(names(4)):
        assert "\n4 runs queued by the sweeps on " in said()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"host": "a", "process": "x", "runs": []}', b"\xff"], ids=range(5)
)
def test_a_damaged_word_is_none(content: bytes) -> None:
    place = PLACE / ".sweep-0"
    place.mkdir(parents=True)
    (place / "sweep.json").write_bytes(content)
    assert said() == "0 runs"


def test_a_word_of_others_looks_at_no_other_folder_and_steers_no_terminal() -> None:
    place = PLACE / ".sweep-0"
    place.mkdir(parents=True)
    (place / "sweep.json").write_text('{"host": "\\u001b[2J", "process": 1, "runs": ["../../x", "a"]}')
    assert "1 run not begun" in said()
    assert "\x1b" not in said()


def test_where_no_word_can_be_left_the_sweep_trains_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(queued, "write_atomically", refuse)
    with queued.announced(names(1)):
        assert not PLACE.exists()
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    Path("runs").mkdir(exist_ok=True)
    PLACE.symlink_to(elsewhere.absolute())
    with queued.announced(names(1)):
        assert list(elsewhere.iterdir()) == []


def test_what_the_sweep_raises_passes() -> None:
    with pytest.raises(UserError, match="no"), queued.announced(names(1)):
        raise UserError("no")
    with pytest.raises(OSError, match="full"), queued.announced(names(1)):
        raise OSError("full")


def test_watching_does_not_end_while_runs_are_queued() -> None:
    from regbench.analysis.question import Question
    from regbench.records.frame import load

    write(Path("runs"), record())
    with queued.announced(names(2)):
        look = live.look(listing(["runs"]), Question(load(["runs"])))
        assert (look.training, look.queued) == (0, 2)
        assert "; 2 runs queued by " in look.progress
