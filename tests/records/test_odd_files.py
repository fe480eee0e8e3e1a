"""One odd file stops one run: it is counted as unreadable, with its reason, and all others are read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from golden.records import record, write
from regbench.records import epochs
from regbench.records.frame import load
from regbench.records.listing import listing
from regbench.records.run_status import RunStatus


def changed(path: Path, change: Any) -> None:
    content = json.loads((path / "run.json").read_text())
    change(content)
    (path / "run.json").write_text(json.dumps(content))


def replaced(path: Path, make: Any) -> None:
    (path / "run.json").unlink()
    make(path / "run.json")


NEVER = "9999-12-31T23:59:59-23:59"
ODD = {
    "a date after the calendar": lambda run: changed(
        run, lambda content: content["times"].update(finished=NEVER, updated=NEVER)
    ),
    "a number that is none": lambda run: changed(
        run, lambda content: content["config"].update(x={"betas": [float("nan")]})
    ),
    "a seed that is text": lambda run: changed(run, lambda content: content["config"].update(seed="abc")),
    "an accuracy above 1": lambda run: changed(
        run, lambda content: content["result"]["best_val"].update(test_acc=1e308)
    ),
    "a loss without a square": lambda run: changed(
        run, lambda content: content["result"]["last"].update(test_loss=1e308)
    ),
    "no figures": lambda run: changed(run, lambda content: content.update(result={})),
    "brackets without end": lambda run: (run / "run.json").write_text("[" * 200_000),
    "a number without end": lambda run: (run / "run.json").write_text("9" * 5_000),
    "a pipe": lambda run: replaced(run, os.mkfifo),
    "a device without end": lambda run: replaced(run, lambda path: path.symlink_to("/dev/zero")),
    "a file that is too large": lambda run: (run / "run.json").write_bytes(b" " * (5 * 2**20)),
    "a folder": lambda run: replaced(run, Path.mkdir),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_record_is_counted_and_stops_no_other(odd, tmp_path):
    whole, damaged = write(tmp_path, record(seed=0), "whole"), write(tmp_path, record(seed=1), "damaged")
    ODD[odd](damaged)
    (entry,), unreadable = listing([tmp_path]).entries, listing([tmp_path]).unreadable
    assert entry.path == whole
    assert list(unreadable) == [str(damaged / "run.json")] and "\n" not in unreadable[str(damaged / "run.json")]
    runs = load([tmp_path])
    assert (len(runs.frame), len(runs.unreadable)) == (1, 1)
    identity = json.loads((whole / "run.json").read_text())["identity"]
    assert RunStatus.read(whole, identity).state == "completed"
    assert RunStatus.read(damaged, identity).state is None


@pytest.mark.parametrize("missing", ["times", "test_acc"])
def test_a_record_that_lacks_a_part_begins_again(missing, tmp_path):
    run = write(tmp_path, record(seed=0), "run")
    changes = {
        "times": lambda content: content.update(times={}),
        "test_acc": lambda content: content["result"]["last"].pop("test_acc"),
    }
    changed(run, changes[missing])
    assert not RunStatus.read(run, json.loads((run / "run.json").read_text())["identity"]).finished


def test_figures_of_epochs_end_where_they_are_none(tmp_path):
    for text, rows in (
        ("epoch,x\n1,2\n2," + "1" * 140_000 + "\n", 1),
        ("epoch,x\n1,1e308\n", 1),
        ("epoch,x\nnan,1\n", 0),
    ):
        (tmp_path / "metrics.csv").write_text(text)
        assert len(epochs.read(tmp_path)) == rows
    (tmp_path / "metrics.csv").unlink()
    os.mkfifo(tmp_path / "metrics.csv")
    assert epochs.read(tmp_path) == []


def test_folders_without_end_are_not_followed(tmp_path):
    write(tmp_path, record(seed=0), "whole")
    deep = tmp_path
    for _ in range(80):
        deep /= "d"
    deep.mkdir(parents=True)
    assert len(listing([tmp_path]).entries) == 1
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(listing([tmp_path]).entries) == 1


def test_a_link_to_where_nobody_may_look_is_counted(tmp_path, monkeypatch):
    write(tmp_path, record(seed=0), "whole")
    (tmp_path / "link").symlink_to("link")
    look = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("link"):
            raise PermissionError(13, "Permission denied", path)
        return look(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    found = listing([tmp_path])
    assert len(found.entries) == len(found.unreadable) == 1
