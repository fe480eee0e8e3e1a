"""Whether what is asked means something to a kind of picture."""

from collections.abc import Iterator, Mapping, Sequence

from regbench.analysis.question import Question
from regbench.errors import UserError
from regbench.figures.wishes import Wishes

_OF_TABLES = ("forest", "dots", "box", "heatmap", "interaction", "sensitivity", "cd")
_METRICS = ("curves", "effects", *_OF_TABLES)
_TAKEN: Mapping[str, Sequence[str]] = {  # options with the kinds whose numbers they change
    "--tune": _OF_TABLES,
    "--anytime": ("forest", "heatmap"),
    "--shrink": ("box", "heatmap"),
}
_SEEN: Mapping[str, Sequence[str]] = {  # options with the kinds that they draw in another way
    "--x": ("curves", "lr"),
    "--log": ("curves", "lr", "sensitivity"),
    "--each": ("curves",),
}


def check(kinds: Sequence[str], question: Question, wishes: Wishes) -> None:
    """Check the question against each kind, and each wish against all of them.

    Raises:
        UserError: an option means nothing to a kind whose numbers it would have to change, or a wish to no kind.
    """
    for kind in kinds:
        _check_metrics(kind, question.metrics)
    for option, typed in _asked(question):
        for kind in kinds:
            _check_taken(option, typed, [kind], _TAKEN[option])
    for option, typed in _wished(wishes):
        _check_taken(option, typed, kinds, _SEEN[option])
    if question.shrink and question.against and "heatmap" in kinds:
        raise UserError("--shrink: plot heatmap with a --baseline shows differences, which are not shrunk")


def _check_metrics(kind: str, metrics: Sequence[str]) -> None:
    if kind not in _METRICS and metrics:
        raise UserError(f"--metric {metrics[0]}: plot {kind} shows no figure of your choice")
    if kind in _METRICS and kind != "curves" and len(metrics) > 1:
        raise UserError(f"--metric {', '.join(metrics)}: plot {kind} shows one figure. Name one")


def _check_taken(option: str, typed: str, kinds: Sequence[str], taking: Sequence[str]) -> None:
    if not set(kinds) & set(taking):
        raise UserError(f"{typed}: means nothing to plot {' '.join(kinds)}. {option} is for {', '.join(taking)}")


def _asked(question: Question) -> Iterator[tuple[str, str]]:
    """Name the options that change numbers, each as it was typed."""
    if question.tune:
        yield "--tune", f"--tune {' '.join(question.tune)}"
    if question.against and question.against.anytime:
        yield "--anytime", "--anytime"
    if question.shrink:
        yield "--shrink", "--shrink"


def _wished(wishes: Wishes) -> Iterator[tuple[str, str]]:
    if wishes.x != "epoch":
        yield "--x", f"--x {wishes.x}"
    if wishes.log:
        yield "--log", f"--log {wishes.log}"
    if wishes.each:
        yield "--each", "--each"
