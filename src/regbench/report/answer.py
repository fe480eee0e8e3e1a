"""The question and its answer in words, made of the verdicts of a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from regbench.analysis.default_run import DEFAULT
from regbench.analysis.table import Contrast, Row, Table
from regbench.figures import words
from regbench.text import plural, probability

_MOST = 12  # sentences; the table has all rows
_ORDER = ("better", "worse", "equivalent", "undecided", "diverged", "diverges more", "diverges less", "not tested")
_TITLES = {
    "diverged": "Always diverges",
    "diverges more": "Diverges more often",
    "diverges less": "Diverges less often",
}


@dataclass(frozen=True)
class Answer:
    """The question, the answer in a sentence, and a sentence for each row."""

    question: str
    short: str
    sentences: tuple[str, ...]


def answer(table: Table) -> Answer:
    """Put a table into words."""
    figure_name = words.short_figure(table.metric.name)
    if table.contrast is None:
        question = f"Which {words.rows(table)} has the best {figure_name}?"
        short = _best(table) if table.keys != ("runs",) else _mean(table)
        return Answer(question if table.keys != ("runs",) else f"How good is the {figure_name}?", short, ())
    question = _question(table, table.contrast, figure_name)
    compared = [row for word in _ORDER for row in _with(table, word)]
    sentences = [_sentence(row, table) for row in compared[:_MOST]]
    rest = [f"{plural(len(compared) - _MOST, 'more row')}: see the table."] if len(compared) > _MOST else []
    return Answer(question, _short(table), (*sentences, *rest))


def _question(table: Table, contrast: Contrast, figure_name: str) -> str:
    """Ask what the keys of the baseline change, at each value of the others."""
    if table.base is not None:
        return f"Does a change of the default change the {figure_name}?"
    keys = [key for key in table.keys if key in contrast.baseline]
    others = _listed([key for key in table.keys if key not in keys])
    at = f", at each {others}" if others else ""
    verb = "Does" if len(keys) == 1 else "Do"
    return f"{verb} the {_listed(keys)} change the {figure_name}, compared with {_baseline(contrast)}{at}?"


def _listed(keys: Sequence[str]) -> str:
    """Write `normalization and dropout rate`."""
    *names, last = map(words.key, keys or [""])
    return f"{', '.join(names)} and {last}" if names else last


def _baseline(contrast: Contrast) -> str:
    """Write `norm=none`, or `default (norm=none)`."""
    values = ", ".join(f"{key}={text}" for key, text in contrast.baseline.items())
    return f"{DEFAULT} ({values})" if contrast.label == DEFAULT and values else contrast.label


def _with(table: Table, verdict: str) -> list[Row]:
    return [row for row in table.rows if row.comparison and row.comparison.verdict == verdict]


def _short(table: Table) -> str:
    """Write `Better than norm=none: batch, layer. Undecided: group.`"""
    assert table.contrast
    parts = [
        f"{_title(word, table.contrast.label)}: {_names(rows, table)}."
        for word in _ORDER
        if (rows := _with(table, word))
    ]
    return " ".join(parts) or "No row can be compared with a baseline."


def _title(word: str, label: str) -> str:
    links = {"better": "than", "worse": "than", "equivalent": "to"}
    title = _TITLES.get(word, word.capitalize())
    return f"{title} {links[word]} {label}" if word in links else title


def _names(rows: Sequence[Row], table: Table) -> str:
    names = [words.row(row, table) for row in rows[:_MOST]]
    more = len(rows) - _MOST
    return "; ".join(names) + (f" and {more} more" if more > 0 else "")


def _sentence(row: Row, table: Table) -> str:
    """Write `batch is better: +0.58 points (95 % interval +0.37 to +0.79), ahead in 10 of 10 seeds, p 0.008.`"""
    parts = ", ".join(_parts(row, table))
    return f"{words.row(row, table)} {_predicate(row)}{f': {parts}' if parts else ''}."


def _predicate(row: Row) -> str:
    """Write `is better`, `is undecided (about 24 seeds would decide)`, or `always diverges (6 of 6 runs)`."""
    comparison = row.comparison
    assert comparison
    if comparison.verdict in _TITLES:
        how = "always diverges" if comparison.verdict == "diverged" else f"{comparison.verdict} often"
        return f"{how} ({row.diverged} of {plural(row.ended, 'run')})"
    seeds = (
        f" (about {comparison.seeds} seeds would decide)"
        if comparison.verdict == "undecided" and comparison.seeds
        else ""
    )
    return f"is {comparison.verdict}{seeds}"


def _parts(row: Row, table: Table) -> Iterator[str]:
    found, metric = row.comparison, table.metric
    assert found
    if found.difference is not None:
        unit = words.unit_of_difference(metric).strip(" ()")
        ends = f" (95 % interval {' to '.join(metric.signed(end) for end in found.ends)})" if found.ends else ""
        yield f"{metric.signed(found.difference)} {unit}".rstrip() + ends
    if found.pairs:
        yield f"ahead in {found.won} of {plural(found.pairs, 'seed')}"
    p = found.p_diverged_adjusted if found.verdict in _TITLES else found.p_adjusted
    if p is not None:
        yield f"p {probability(p)}"


def _best(table: Table) -> str:
    known = [row for row in table.rows if row.estimate.mean is not None]
    if not known:
        return "No row has a figure."
    best = (max if table.metric.higher_is_better else min)(known, key=lambda row: row.estimate.mean or 0.0)
    return (
        f"{words.row(best, table)} has the best mean, {_estimate(best, table)}. Whether that is real or luck, a "
        "--baseline would tell."
    )


def _mean(table: Table) -> str:
    return "; ".join(_estimate(row, table) for row in table.rows)


def _estimate(row: Row, table: Table) -> str:
    """Write `92.38 % (95 % interval 92.10 to 92.66, n = 10)`."""
    unit, interval = " %" if table.metric.percent else "", row.estimate.interval
    ends = f"95 % interval {' to '.join(table.metric.text(end) for end in interval)}, " if interval else ""
    mean = f"{table.metric.text(row.estimate.mean)}{unit}" if row.estimate.mean is not None else "no figure"
    return f"{mean} ({ends}n = {row.estimate.n})"
