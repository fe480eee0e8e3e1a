import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regbench.techniques.clip import clip

NORM_TYPES = [1.0, 2.0, 3.0, math.inf]
EXAMPLE = [3.0, -4.0, 0.0, 12.0]  # 2-norm 13, 1-norm 19, largest 12


def parts(gradient):
    """The gradients of two parameters, which share the elements of one."""
    return list(torch.tensor(gradient, dtype=torch.float64).tensor_split(2))


def clip_one(gradient, *limits):
    """The clipped elements, the norm before and whether anything was clipped; what was given stays as it was."""
    given = parts(gradient)
    left, norm, clipped = clip(given, *limits)
    assert torch.cat(given).tolist() == list(gradient)
    return torch.cat(left).tolist(), norm, clipped


def p_norm(values, p):
    return max(map(abs, values)) if p == math.inf else sum(abs(v) ** p for v in values) ** (1 / p)


gradients = st.lists(st.floats(-50, 50).filter(lambda v: v == 0 or abs(v) > 1e-3), min_size=2, max_size=9).filter(any)


@pytest.mark.parametrize("p", NORM_TYPES)
@settings(deadline=None, max_examples=15)
@given(gradient=gradients, factor=st.floats(0.01, 0.99))
def test_long_gradient_keeps_its_direction_and_gets_the_length(p, gradient, factor):
    limit = factor * p_norm(gradient, p)
    left, norm, clipped = clip_one(gradient, p, limit, None)
    assert norm.item() == pytest.approx(p_norm(gradient, p), rel=1e-12)
    assert clipped.item() is True
    assert p_norm(left, p) == pytest.approx(limit, rel=1e-9 + 1e-6 / norm.item())  # torch divides by norm + 1e-6
    assert left == pytest.approx([v * p_norm(left, p) / p_norm(gradient, p) for v in gradient], rel=1e-9)


@pytest.mark.parametrize(("p", "length"), [(1.0, 19.0), (2.0, 13.0), (3.0, 1819 ** (1 / 3)), (math.inf, 12.0)])
def test_length_after_clipping_is_the_limit(p, length):
    left, norm, clipped = clip_one(EXAMPLE, p, 0.1, None)
    assert (norm.item(), clipped.item()) == (pytest.approx(length), True)
    assert p_norm(left, p) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("p", NORM_TYPES)
@settings(deadline=None, max_examples=10)
@given(gradient=gradients, factor=st.floats(1.01, 100))
def test_short_gradient_is_left_alone(p, gradient, factor):
    left, _, clipped = clip_one(gradient, p, factor * p_norm(gradient, p), None)
    assert clipped.item() is False
    assert left == gradient


@settings(deadline=None, max_examples=15)
@given(gradient=gradients, limit=st.floats(0.01, 60))
def test_elements_are_limited_one_by_one(gradient, limit):
    left, norm, clipped = clip_one(gradient, 2.0, None, limit)
    assert norm.item() == pytest.approx(p_norm(gradient, 2))
    assert clipped.item() is (max(map(abs, gradient)) > limit)
    assert left == [min(max(v, -limit), limit) for v in gradient]


def test_both_limit_elements_first_then_the_length():
    left, norm, clipped = clip_one(EXAMPLE, 2.0, 1.0, 4.0)  # [3, -4, 0, 4] of length √41
    assert (norm.item(), clipped.item()) == (13.0, True)
    assert left == pytest.approx([v / math.sqrt(41) for v in (3, -4, 0, 4)], rel=1e-6)


@pytest.mark.parametrize(
    ("max_norm", "max_value", "expected"),
    [(20.0, 4.0, True), (5.0, 20.0, True), (20.0, 20.0, False), (7.0, 4.0, True)],
)
def test_either_limit_counts_as_clipped(max_norm, max_value, expected):
    assert clip_one(EXAMPLE, 2.0, max_norm, max_value)[2].item() is expected


@pytest.mark.parametrize("p", NORM_TYPES)
@settings(deadline=None, max_examples=10)
@given(gradient=gradients)
def test_off_it_only_measures(p, gradient):
    left, norm, clipped = clip_one(gradient, p, None, None)
    assert (norm.item(), clipped.item()) == (pytest.approx(p_norm(gradient, p)), False)
    assert left == gradient


def test_zero_gradient_stays_zero():
    left, norm, clipped = clip_one([0.0, 0.0], 2.0, 0.1, 0.1)
    assert (norm.item(), clipped.item(), left) == (0.0, False, [0.0, 0.0])


@pytest.mark.parametrize("p", NORM_TYPES)
def test_limits_may_be_tensors(p):
    """As the runs of a stack have them."""
    limits = torch.tensor(5.0, dtype=torch.float64), torch.tensor(11.0, dtype=torch.float64)
    left, norm, clipped = clip_one(EXAMPLE, p, *limits)
    plain = clip_one(EXAMPLE, p, 5.0, 11.0)
    assert (left, norm, clipped) == (pytest.approx(plain[0], rel=1e-15), *plain[1:])


@pytest.mark.parametrize("gradient", [EXAMPLE, [0.0, 0.0], [1e200, -1e200], [1e-200, 1e-200]], ids=str)
@pytest.mark.parametrize("p", NORM_TYPES)
def test_an_infinite_limit_is_none(p, gradient):
    """A run without a limit in a stack with others that have one; also where the norm is too large for the type."""
    infinite = torch.tensor(math.inf, dtype=torch.float64)
    left, norm, clipped = clip_one(gradient, p, infinite, infinite)
    assert (left, clipped.item()) == (gradient, False)
    assert torch.equal(norm, clip_one(gradient, p, None, None)[1])


def test_figures_are_scalars_of_the_gradient_s_kind():
    _, norm, clipped = clip_one(EXAMPLE, 2.0, 0.1, None)
    assert (norm.shape, norm.dtype) == ((), torch.float64)
    assert (clipped.shape, clipped.dtype) == ((), torch.bool)
