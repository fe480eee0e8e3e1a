"""Every kind of picture: from a question about runs to a figure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.analysis.question import Question
from regbench.errors import UserError
from regbench.figures.wishes import Wishes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TestImages = Callable[[Mapping[str, object], str], NDArray[np.uint8]]  # of a run's config, and their fingerprint


def draw(kind: str, question: Question, wishes: Wishes, test_images: TestImages) -> "Figure":
    """Draw a kind of picture, inside a block of `style.applied`.

    Args:
        kind: one of `choices.KINDS`.
        question: what it is about.
        wishes: how to draw it.
        test_images: reads the test images of a run, which `mistakes` shows.

    Raises:
        UserError: the runs hold no such picture, or they are too many for it.
    """
    if kind == "mistakes":
        return _mistakes(question, test_images)
    if kind in _AS_WISHED:
        return _AS_WISHED[kind](question, wishes)
    return _DRAW[kind](question)


def _curves(question: Question, wishes: Wishes) -> "Figure":
    from regbench.analysis.curves import curves
    from regbench.figures.curves import draw

    return draw(curves(question, x=wishes.x), wishes)


def _lr(question: Question, wishes: Wishes) -> "Figure":
    from regbench.analysis.curves import curves
    from regbench.figures.lr import draw

    return draw(curves(replace(question, columns=()), ("lr",), wishes.x), wishes)


def _forest(question: Question) -> "Figure":
    from regbench.figures.forest import draw

    return draw(question.table())


def _dots(question: Question) -> "Figure":
    from regbench.analysis.joined import joined
    from regbench.figures.dots import draw

    table = question.table()
    return draw(joined(table), table)


def _box(question: Question) -> "Figure":
    from regbench.figures.box import draw

    return draw(question.table())


def _heatmap(question: Question) -> "Figure":
    from regbench.figures.heatmap import draw

    return draw(question.table())


def _effects(question: Question) -> "Figure":
    from regbench.analysis.effects import effects
    from regbench.figures.effects import draw

    metric = next(iter(question.metrics), "test_acc")
    by = [*question.by, *question.columns]
    return draw(effects(question.runs, by, metric, question.select, question.where, question.statuses))


def _interaction(question: Question) -> "Figure":
    from regbench.analysis.swept import crossed
    from regbench.figures.interaction import draw

    table = question.table()
    return draw(crossed(table), table)


def _sensitivity(question: Question, wishes: Wishes) -> "Figure":
    from regbench.analysis.swept import number_of, swept
    from regbench.figures.sensitivity import draw

    table = question.table()
    return draw(swept(table, number_of(table, question.by)), table, wishes)


def _cd(question: Question) -> "Figure":
    from regbench.analysis.ranks import ranks
    from regbench.figures.cd import draw

    table = question.table()
    return draw(ranks(table), table)


def _layers(question: Question) -> "Figure":
    from regbench.analysis.layers import layers
    from regbench.figures.layers import draw

    return draw(layers(question))


def _histograms(question: Question) -> "Figure":
    from regbench.figures.histograms import draw
    from regbench.records import histograms
    from regbench.records.names import short_name

    paths = [Path(str(path)) for path in question.frame()["path"]]
    if len(paths) > 1:
        some = short_name(paths[0])
        raise UserError(f"plot histograms: shows one run, not {len(paths)}. Name one: regbench plot histograms {some}")
    spreads = histograms.read(paths[0])
    if not spreads:
        raise UserError(
            f"plot histograms: {short_name(paths[0])} has none: it is of an older version, or of diagnostics=off. "
            "Train again with force=true"
        )
    return draw(spreads, short_name(paths[0]))


def _confusion(question: Question) -> "Figure":
    from regbench.analysis.confusion import confusions, predicted
    from regbench.figures.confusion import draw

    predictions = predicted(question)
    return draw(confusions(predictions), predictions)


def _mistakes(question: Question, test_images: TestImages) -> "Figure":
    from regbench.analysis.confusion import mistakes, predicted
    from regbench.figures.mistakes import draw, most

    predictions = predicted(question)
    compared = sum(partner is not None for partner in predictions.partners) or len(predictions.partners)
    ranked = mistakes(predictions, most(compared))
    return draw(ranked, test_images(predictions.sample, predictions.test_set), predictions)


def _filters(question: Question) -> "Figure":
    from regbench.analysis.filters import filters
    from regbench.figures.filters import draw

    keys, found = filters(question)
    return draw(keys, found, question.select)


_AS_WISHED: Mapping[str, Callable[[Question, Wishes], "Figure"]] = {
    "curves": _curves,
    "lr": _lr,
    "sensitivity": _sensitivity,
}
_DRAW: Mapping[str, Callable[[Question], "Figure"]] = {
    "forest": _forest,
    "dots": _dots,
    "box": _box,
    "heatmap": _heatmap,
    "effects": _effects,
    "interaction": _interaction,
    "cd": _cd,
    "layers": _layers,
    "histograms": _histograms,
    "confusion": _confusion,
    "filters": _filters,
}
