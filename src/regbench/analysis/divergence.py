"""Compare how often the runs of two rows diverge: exactly, seed by seed."""

from collections.abc import Callable, Sequence
from statistics import mean

from regbench.analysis import fixed, inference
from regbench.analysis.pairing import Members, partners

Diverged = Members[bool]  # of each run of a row that trained to an end: whether it diverged


def test(
    row: Diverged, baseline: Diverged, sign_test: Callable[[Sequence[float]], float] = fixed.sign_test
) -> tuple[float, int] | None:
    """Return the two-sided p of equal shares, and the sign of the row's share minus the baseline's.

    It is McNemar's exact test (1947) with the seed as pair: of the seeds at which one side diverges more often, as many
    may be the row's as the baseline's. None if so few seeds differ that p could not reach 0.05: such a test proves
    nothing, and would only make the correction of the others harder (Tarone 1990, Biometrics 46, 515-522).

    Args:
        row: the runs of the row that trained to an end.
        baseline: those of its baseline.
        sign_test: returns the p of differences; McNemar's, or one that is valid at any number of seeds.
    """
    by_seed = partners(row, baseline)
    differences = [mean(mean(map(float, a)) - mean(map(float, b)) for a, b in blocks) for blocks in by_seed.values()]
    more, less = (sum(sign * value > 0 for value in differences) for sign in (1, -1))
    if inference.smallest_p(more + less) > inference.ALPHA:
        return None
    return sign_test(differences), (more > less) - (more < less)
