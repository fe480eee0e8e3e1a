"""Compare rows with their baseline: difference by seed, test, correction over the family, verdict."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from regbench.analysis import anytime as anytime_method
from regbench.analysis import divergence, fixed, inference
from regbench.analysis.corrections import Correction
from regbench.analysis.divergence import Diverged
from regbench.analysis.inference import ALPHA
from regbench.analysis.intervals import estimate
from regbench.analysis.pairing import Figures, Pairs, pairs
from regbench.records.metrics import Metric

Verdict = Literal[
    "baseline",
    "better",
    "worse",
    "equivalent",
    "undecided",
    "diverged",  # every run that trained to an end
    "diverges more",
    "diverges less",
    "not tested",
    "no baseline",
]


@dataclass(frozen=True)
class Comparison:
    """A row's difference from its baseline, in the figure's unit; a figure is None if there are too few pairs for it.

    `half_width` is half of the 95 % t interval, None also if all differences are equal; `sequence` stands in its
    place where the comparison is valid at any number of seeds. `won` counts seeds that are better than the
    baseline's. `seeds` is the number that would decide an undecided comparison; None if it is too big. `p_diverged`
    is of the share of diverged runs; None if none diverged.
    """

    verdict: Verdict
    pairs: int = 0
    difference: float | None = None
    half_width: float | None = None
    sequence: tuple[float, float] | None = None
    p: float | None = None
    p_adjusted: float | None = None
    won: int = 0
    tied: int = 0
    won_share: tuple[float, float] | None = None
    hedges_g: float | None = None
    p_equivalence: float | None = None
    p_equivalence_adjusted: float | None = None
    p_diverged: float | None = None
    p_diverged_adjusted: float | None = None
    seeds: int | None = None
    unpaired: int = 0
    several: bool = False

    @property
    def ends(self) -> tuple[float, float] | None:
        """The ends of the interval of the difference."""
        if self.difference is None or self.half_width is None:
            return self.sequence
        return self.difference - self.half_width, self.difference + self.half_width


class _Method(Protocol):
    """How differences are tested: `fixed` for a number of seeds that was fixed beforehand, `anytime` for any."""

    def tests(self, differences: Mapping[int, Sequence[float]]) -> dict[int, float]: ...
    def half_width(self, differences: Sequence[float]) -> float | None: ...
    def sequence(self, differences: Sequence[float]) -> tuple[float, float] | None: ...
    def equivalence(self, differences: Sequence[float], margin: float) -> float: ...
    def sign_test(self, differences: Sequence[float]) -> float: ...
    def seeds_to_decide(self, differences: Sequence[float], margin: float | None, alpha: float) -> int | None: ...


@dataclass(frozen=True)
class Runs:
    """The runs of a row that say something: the figures of the completed ones, and which of the ended ones diverged."""

    figures: Figures
    diverged: Diverged = ()

    @property
    def all_diverged(self) -> bool:
        """Whether every run that trained to an end diverged."""
        return bool(self.diverged) and all(diverged for _, diverged in self.diverged)


def compared(
    rows: Sequence[Runs],
    baseline: Sequence[int | None],
    metric: Metric,
    margin: float | None,
    correction: Correction,
    tested: bool = True,
    anytime: bool = False,
) -> list[Comparison]:
    """Compare each row with its baseline's row; all tests, of figures and of divergence, are one family.

    Args:
        rows: the runs of each row.
        baseline: the number of each row's baseline.
        metric: it says which direction is better.
        margin: differences smaller than this do not matter; in the figure's unit.
        correction: for many comparisons.
        tested: whether figures may be tested: those of shared clocks may not.
        anytime: whether tests and intervals must be valid at any number of seeds.
    """
    method: _Method = anytime_method if anytime else fixed
    partners = {row: (rows[row], rows[base]) for row, base in enumerate(baseline) if base is not None and base != row}
    paired = {row: pairs(own.figures, theirs.figures) for row, (own, theirs) in partners.items()}
    ends = {
        row: divergence.test(own.diverged, base.diverged, method.sign_test) for row, (own, base) in partners.items()
    }
    measured = _all_measured(paired, metric, margin, method, tested=tested)
    corrected = _corrected({row: _with_end(found, ends[row]) for row, found in measured.items()}, correction)
    judged = {
        row: replace(found, verdict=_verdict(found, metric, rows[row].all_diverged, ends[row], tested=tested))
        for row, found in corrected.items()
    }
    alpha = _alpha_of_one(judged.values(), correction)
    with_seeds = {row: _with_seeds(j, paired[row].differences, margin, alpha, method) for row, j in judged.items()}
    alone = [Comparison("no baseline" if base is None else "baseline") for base in baseline]
    return [with_seeds.get(row, comparison) for row, comparison in enumerate(alone)]


def _all_measured(
    paired: Mapping[int, Pairs], metric: Metric, margin: float | None, method: _Method, *, tested: bool
) -> dict[int, Comparison]:
    """Compute all of each row's comparison except what depends on the family."""
    ps = method.tests({row: pairing.differences for row, pairing in paired.items()}) if tested else {}
    measured = {row: _measured(pairing, ps.get(row), metric, margin, method) for row, pairing in paired.items()}
    return measured if tested else {row: _untested(comparison) for row, comparison in measured.items()}


def _alpha_of_one(comparisons: Iterable[Comparison], correction: Correction) -> float:
    """The level at which the least p of the family is judged."""
    family = sum((found.p is not None) + (found.p_diverged is not None) for found in comparisons)
    return ALPHA if correction == "none" else ALPHA / max(1, family)


def _untested(comparison: Comparison) -> Comparison:
    """Take away what rests on figures that are independent from seed to seed."""
    return replace(comparison, half_width=None, sequence=None, won_share=None, hedges_g=None, p_equivalence=None)


def _with_end(comparison: Comparison, end: tuple[float, int] | None) -> Comparison:
    return replace(comparison, p_diverged=end[0]) if end else comparison


def _measured(pairing: Pairs, p: float | None, metric: Metric, margin: float | None, method: _Method) -> Comparison:
    values = pairing.differences
    sign = 1 if metric.higher_is_better else -1
    won = sum(sign * value > 0 for value in values)
    return Comparison(
        verdict="undecided",
        pairs=len(values),
        difference=estimate(values).mean,
        half_width=method.half_width(values),
        sequence=method.sequence(values),
        p=p,
        won=won,
        tied=sum(value == 0 for value in values),
        won_share=inference.wilson(won, len(values)) if values else None,
        hedges_g=inference.hedges_g(values),
        p_equivalence=method.equivalence(values, margin) if margin is not None and len(values) > 1 else None,
        unpaired=pairing.unpaired,
        several=pairing.several,
    )


def _corrected(measured: Mapping[int, Comparison], correction: Correction) -> dict[int, Comparison]:
    """Correct the tests of figures and of divergence as one family, and those of equivalence as another."""
    figures = {(row, "p"): comparison.p for row, comparison in measured.items()}
    ends = {(row, "p_diverged"): comparison.p_diverged for row, comparison in measured.items()}
    ps = _adjusted(figures | ends, correction)
    agreeing = _adjusted({(row, ""): comparison.p_equivalence for row, comparison in measured.items()}, correction)
    return {
        row: replace(
            comparison,
            p_adjusted=ps.get((row, "p")),
            p_diverged_adjusted=ps.get((row, "p_diverged")),
            p_equivalence_adjusted=agreeing.get((row, "")),
        )
        for row, comparison in measured.items()
    }


_Tests = tuple[int, str]  # a row, and what is tested


def _adjusted(ps: Mapping[_Tests, float | None], correction: Correction) -> dict[_Tests, float]:
    family = {test: p for test, p in ps.items() if p is not None}
    return dict(zip(family, inference.adjusted(list(family.values()), correction), strict=True))


def _verdict(
    comparison: Comparison, metric: Metric, all_diverged: bool, end: tuple[float, int] | None, *, tested: bool
) -> Verdict:
    """Judge a row. One that surely diverges more is no better; one that diverges less may still be better or worse."""
    if all_diverged:
        return "diverged"
    of_figures = _of_figures(comparison, metric) if tested else "not tested"
    if end is None or (comparison.p_diverged_adjusted or 0.0) > ALPHA:
        return of_figures
    if end[1] > 0:
        return "diverges more"
    return of_figures if of_figures in ("better", "worse") else "diverges less"


def _of_figures(comparison: Comparison, metric: Metric) -> Verdict:
    """Equivalent comes first: a real difference within the margin does not matter."""
    agree, p, difference = comparison.p_equivalence_adjusted, comparison.p_adjusted, comparison.difference
    if agree is not None and agree <= ALPHA:
        return "equivalent"
    if p is None or p > ALPHA or not difference:
        return "undecided"
    return "better" if (difference > 0) == metric.higher_is_better else "worse"


def _with_seeds(
    comparison: Comparison, differences: Sequence[float], margin: float | None, alpha: float, method: _Method
) -> Comparison:
    """Add to an undecided comparison how many seeds would decide it."""
    if comparison.verdict != "undecided":
        return comparison
    return replace(comparison, seeds=method.seeds_to_decide(differences, margin, alpha))
