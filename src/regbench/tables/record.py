"""All that a table knows of each row, by name: plain numbers, figures as fractions, None for an unknown one."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from regbench.analysis.choice import Choice
from regbench.analysis.table import Contrast, Row, Table
from regbench.tables.footer import footer
from regbench.tables.tuning_notes import chosen

if TYPE_CHECKING:
    from regbench.analysis.image_noise import Noise
    from regbench.analysis.verdict import Comparison


def _ends(middle: float | None, half_width: float | None) -> tuple[float | None, float | None]:
    return (None, None) if middle is None or half_width is None else (middle - half_width, middle + half_width)


_RANGES = {"ci95": (0.0, 1.0), "diff_ci95": (-1.0, 1.0)}  # of intervals of accuracies, and of their differences


# The columns of each part, in their order
_STATISTICS: dict[str, Callable[[Row], Any]] = {
    "n": lambda row: row.estimate.n,
    "mean": lambda row: row.estimate.mean,
    "ci95": lambda row: row.estimate.half_width,
    "ci95_low": lambda row: _ends(row.estimate.mean, row.estimate.half_width)[0],
    "ci95_high": lambda row: _ends(row.estimate.mean, row.estimate.half_width)[1],
    "std": lambda row: row.std,
    "se": lambda row: row.standard_error,
    "median": lambda row: row.median,
    "best": lambda row: row.best,
    "worst": lambda row: row.worst,
    "diverged": lambda row: row.diverged,
    "failed": lambda row: row.failed,
    "unfinished": lambda row: row.unfinished,
    "missing": lambda row: row.missing,
}
_PRUNED: dict[str, Callable[[Row], Any]] = {"pruned": lambda row: row.pruned}
_STACK: dict[str, Callable[[Row], Any]] = {"stack": lambda row: row.stack}
_SHRUNK: dict[str, Callable[[Row], Any]] = {"shrunk": lambda row: row.shrunk}
_SEEDS: dict[str, Callable[[Row], Any]] = {
    "seeds": lambda row: " ".join(f"{seed}:{value!r}" for seed, value in row.figures)
}
_CHOICE: dict[str, Callable[[Choice], Any]] = {
    "tried_values": lambda choice: choice.values,
    "tried_runs": lambda choice: choice.runs,
    "tried_missing": lambda choice: choice.missing,
    "tried_diverged": lambda choice: sum(runs for _, runs in choice.diverged),
    "tried_fewer_seeds": lambda choice: len(choice.fewer),
    "at_edge": lambda choice: " ".join(f"{edge.key}:{edge.end}" for edge in choice.edges),
}
_CONTRAST: dict[str, Callable[[Contrast], Any]] = {
    "baseline": lambda contrast: contrast.label,
    "correction": lambda contrast: contrast.correction,
    "margin": lambda contrast: contrast.margin,
}
_ANYTIME: dict[str, Callable[[Contrast], Any]] = {"anytime": lambda contrast: contrast.anytime}
_COMPARISON: dict[str, "Callable[[Comparison], Any]"] = {
    "pairs": lambda found: found.pairs,
    "diff": lambda found: found.difference,
    "diff_ci95": lambda found: found.half_width,
    "diff_ci95_low": lambda found: found.ends and found.ends[0],
    "diff_ci95_high": lambda found: found.ends and found.ends[1],
    "p": lambda found: found.p,
    "p_adjusted": lambda found: found.p_adjusted,
    "won": lambda found: found.won,
    "tied": lambda found: found.tied,
    "won_ci95_low": lambda found: found.won_share and found.won_share[0],
    "won_ci95_high": lambda found: found.won_share and found.won_share[1],
    "hedges_g": lambda found: found.hedges_g,
    "p_equivalence": lambda found: found.p_equivalence,
    "p_equivalence_adjusted": lambda found: found.p_equivalence_adjusted,
    "p_diverged": lambda found: found.p_diverged,
    "p_diverged_adjusted": lambda found: found.p_diverged_adjusted,
    "verdict": lambda found: found.verdict,
    "seeds_to_decide": lambda found: found.seeds,
    "unpaired": lambda found: found.unpaired,
}
_NOISE: dict[str, "Callable[[Noise], Any]"] = {
    "test_images": lambda noise: noise.images,
    "test_runs": lambda noise: noise.runs,
    "test_ci95_low": lambda noise: noise.interval[0],
    "test_ci95_high": lambda noise: noise.interval[1],
}
_NOISE_OF_DIFFERENCE: dict[str, "Callable[[Noise], Any]"] = {
    "test_pairs": lambda noise: noise.pairs,
    "test_diff": lambda noise: noise.difference,
    "test_diff_ci95": lambda noise: noise.half_width,
    "test_diff_ci95_low": lambda noise: _ends(noise.difference, noise.half_width)[0],
    "test_diff_ci95_high": lambda noise: _ends(noise.difference, noise.half_width)[1],
    "test_p": lambda noise: noise.p,
    "test_p_adjusted": lambda noise: noise.p_adjusted,
}


def record(table: Table, row: Row, show: Sequence[str] = ()) -> dict[str, Any]:
    """Return all that is known of a row except its keys, in the order of `columns`.

    Intervals of accuracies end at 0 and 1.
    """
    known: dict[str, Any] = {} if table.base is None else {"change": row.change}
    known |= {"metric": table.metric.name, "select": table.select}
    known |= _tuned(table, row)
    known |= {name: get(row) for name, get in _of_row(table, show).items()}
    if table.contrast:
        assert row.comparison
        known |= {name: get(table.contrast) for name, get in _of_contrast(table.contrast).items()}
        known |= {name: get(row.comparison) for name, get in _COMPARISON.items()}
    known |= {name: get(row.noise) if row.noise else None for name, get in _noise(table).items()}
    return _within_range(known) if table.metric.percent else known


def _tuned(table: Table, row: Row) -> dict[str, Any]:
    """Return the value of each tuned key that most seeds chose, all chosen values as `chosen.KEY`, and the budget."""
    if not table.tuning:
        return {}
    choice = row.choice or Choice()
    most = choice.chosen[0][0] if choice.chosen else [None] * len(table.tuning.keys)
    values = {key: None if v != v else v for key, v in zip(table.tuning.keys, most, strict=True)}
    texts = {f"chosen.{key}": chosen(choice, place) for place, key in enumerate(table.tuning.keys)}
    return values | texts | {name: get(choice) for name, get in _CHOICE.items()}


def _within_range(known: dict[str, Any]) -> dict[str, Any]:
    for name, (least, most) in _RANGES.items():
        for end in (f"{name}_low", f"{name}_high"):
            if known.get(end) is not None:
                known[end] = min(max(known[end], least), most)
    return known


def columns(table: Table, show: Sequence[str] = ()) -> list[str]:
    """Return the keys, then the names in a `record`."""
    change = [] if table.base is None else ["change"]
    compared = [*_of_contrast(table.contrast), *_COMPARISON] if table.contrast else []
    tuned = table.tuning.keys if table.tuning else ()
    choice = [*tuned, *(f"chosen.{key}" for key in tuned), *_CHOICE] if tuned else []
    return [*table.keys, *change, "metric", "select", *choice, *_of_row(table, show), *compared, *_noise(table)]


def _of_row(table: Table, show: Sequence[str]) -> dict[str, Callable[[Row], Any]]:
    """Return the statistics; the stack for a time, the shrunk mean and each seed's figure on request."""
    stack = {} if table.clocks is None else _STACK
    pruned = _PRUNED if "pruned" in table.lost else {}
    return _STATISTICS | pruned | stack | (_SHRUNK if table.shrink else {}) | (_SEEDS if "seeds" in show else {})


def _of_contrast(contrast: Contrast) -> dict[str, Callable[[Contrast], Any]]:
    return _CONTRAST | (_ANYTIME if contrast.anytime else {})


def _noise(table: Table) -> "dict[str, Callable[[Noise], Any]]":
    return {} if not table.test_noise else _NOISE | _NOISE_OF_DIFFERENCE if table.contrast else _NOISE


def to_frame(tables: Sequence[Table], show: Sequence[str] = ()) -> pd.DataFrame:
    """Make a DataFrame with a row for each group, its keys and `record`; the footer is in `attrs["notes"]`."""
    rows = [{**row.group, **record(table, row, show)} for table in tables for row in table.rows]
    frame = pd.DataFrame(rows, columns=columns(tables[0], show))
    frame.attrs["notes"] = footer(tables)
    return frame
