"""Locks: one process at a time uses a folder."""

from pathlib import Path

from filelock import FileLock

from regbench.records.locks import one_at_a_time


def test_a_lock_that_nobody_holds_is_taken_at_once(tmp_path: Path) -> None:
    waits: list[str] = []
    with one_at_a_time(tmp_path / "new" / "x.lock", lambda: waits.append("waits")):
        assert FileLock(tmp_path / "new" / "x.lock").lock_file
    assert waits == []


def test_who_comes_second_says_so_and_waits(tmp_path: Path) -> None:
    first = FileLock(tmp_path / "x.lock")
    first.acquire()
    waits: list[str] = []

    def wait() -> None:
        waits.append("waits")
        first.release()

    with one_at_a_time(tmp_path / "x.lock", wait):
        assert waits == ["waits"]
        with one_at_a_time(tmp_path / "y.lock", wait):
            assert waits == ["waits"], "another folder is free"
