"""Compare how often the runs of two rows diverge: exactly, seed by seed."""

from statistics import mean

from regbench.analysis import inference
from regbench.analysis.pairing import Members, partners

Diverged = Members[bool]  # of each run of a row that trained to an end: whether it diverged


def test(row: Diverged, baseline: Diverged) -> tuple[float, int] | None:
    """Return the two-sided p of equal shares, and the sign of the row's share minus the baseline's.

    It is McNemar's exact test (1947) with the seed as pair: of the seeds at which one side diverges more often, as many
    may be the row's as the baseline's. None if so few seeds differ that p could not reach 0.05: such a test proves
    nothing, and would only make the correction of the others harder (Tarone 1990, Biometrics 46, 515-522).
    """
    by_seed = partners(row, baseline)
    differences = [mean(mean(map(float, a)) - mean(map(float, b)) for a, b in blocks) for blocks in by_seed.values()]
    more, less = (sum(sign * value > 0 for value in differences) for sign in (1, -1))
    if inference.smallest_p(more + less) > inference.ALPHA:
        return None
    return inference.sign_test(more, less), (more > less) - (more < less)
