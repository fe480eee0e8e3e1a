"""The luck of the first row: what the footer says of it, and means without it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regbench
from golden.records import CONFIG, record, write
from regbench.analysis.summary import compare
from regbench.analysis.table import Table
from regbench.errors import UserError
from regbench.records.frame import load
from regbench.tables.cells import cells
from regbench.tables.footer import footer


def table(folder: Path, means: list[float], spread: float, seeds: int = 8, **settings: Any) -> Table:
    """Rows of rates with these means; what a seed does to all rows is large."""
    draw = np.random.default_rng(1)
    of_seed = draw.normal(0, 0.01, seeds)
    for row, mean in enumerate(means):
        noise = draw.normal(0, spread, seeds)
        for seed in range(seeds):
            value = round(float(mean + of_seed[seed] + noise[seed] - noise.mean()), 5)
            optimizer = CONFIG["optimizer"] | {"lr": (row + 1) / 1000}
            write(folder, record(test_acc=value, seed=seed, optimizer=optimizer), f"run{row}-{seed}")
    return compare(load([folder]), **settings)


def lucky(found: Table) -> list[str]:
    return [line for line in footer(found, explain=False) if "also lucky" in line]


def test_equal_rows_stand_as_far_apart_as_luck_explains(tmp_path: Path) -> None:
    """The expected maximum of five equal ones is 1.163 standard errors; the noise of the seeds is no part of it."""
    found = table(tmp_path, [0.9] * 5, 0.003)
    assert found.luck == pytest.approx(1.163 * 0.003 / 8**0.5, rel=0.25)
    (line,) = lucky(found)
    assert line.startswith("The best of several is also lucky: the first row is expected to stand 0.1")
    assert line.endswith("points too high. --shrink shows means without it.")


def test_rows_far_apart_are_ordered_by_no_luck(tmp_path: Path) -> None:
    assert not lucky(table(tmp_path, [0.95, 0.9, 0.8, 0.7], 0.001))


@pytest.mark.parametrize("settings", [{"sort": "optimizer.lr"}, {"columns": ["optimizer.lr"]}])
def test_nothing_is_said_where_the_best_is_not_first(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert not lucky(table(tmp_path, [0.9] * 5, 0.003, **settings))


def test_two_rows_and_single_seeds_have_no_luck(tmp_path: Path) -> None:
    assert table(tmp_path / "two", [0.9, 0.9], 0.003).luck is None
    assert table(tmp_path / "one", [0.9, 0.91, 0.92], 0.003, seeds=1).luck is None


def test_shrunk_means_lie_between_the_means_and_their_centre_and_a_far_row_keeps_its_own(tmp_path: Path) -> None:
    found = table(tmp_path, [0.9, 0.901, 0.902, 0.903, 0.1], 0.003, shrink=True)
    *near, far = found.rows
    means, shrunk = ([float(row.estimate.mean) for row in near], [float(row.shrunk or 0) for row in near])
    assert max(shrunk) < max(means) and min(shrunk) > min(means)
    assert shrunk == sorted(shrunk, reverse=True)
    assert far.shrunk == far.estimate.mean
    assert "shrunk" in cells([found]).headings
    frame = regbench.compare(regbench.load(tmp_path), shrink=True)
    assert frame["shrunk"].tolist() == [row.shrunk for row in found.rows]


def test_means_without_noise_stay(tmp_path: Path) -> None:
    found = table(tmp_path, [0.9, 0.91, 0.92], 0.0, shrink=True)
    assert [row.shrunk for row in found.rows] == pytest.approx([row.estimate.mean for row in found.rows], abs=1e-4)


def test_a_pivot_has_no_room_for_shrunk_means(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--shrink: a pivot has no room for it"):
        cells([table(tmp_path, [0.9] * 3, 0.003, shrink=True, columns=["optimizer.lr"])])
