import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from regbench.techniques.clip import clip

NORM_TYPES = [1.0, 2.0, 3.0, math.inf]
EXAMPLE = [3.0, -4.0, 0.0, 12.0]  # 2-norm 13, 1-norm 19, largest 12


def parameters(gradient):
    """Two parameters that share the elements of one gradient, and one without any."""
    gradient = torch.tensor(gradient, dtype=torch.float64)
    half = len(gradient) // 2
    made = [nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (half, len(gradient) - half, 3)]
    made[0].grad, made[1].grad = gradient[:half].clone(), gradient[half:].clone()
    return made


def gradient_of(made):
    assert made[2].grad is None
    return [*made[0].grad.tolist(), *made[1].grad.tolist()]


def p_norm(values, p):
    return max(map(abs, values)) if p == math.inf else sum(abs(v) ** p for v in values) ** (1 / p)


gradients = st.lists(st.floats(-50, 50).filter(lambda v: v == 0 or abs(v) > 1e-3), min_size=2, max_size=9).filter(any)


@pytest.mark.parametrize("p", NORM_TYPES)
@settings(deadline=None, max_examples=50)
@given(gradient=gradients, factor=st.floats(0.01, 0.99))
def test_long_gradient_keeps_its_direction_and_gets_the_length(p, gradient, factor):
    made, limit = parameters(gradient), factor * p_norm(gradient, p)
    norm, clipped = clip(made, p, limit, None)
    assert norm.item() == pytest.approx(p_norm(gradient, p), rel=1e-12)
    assert clipped.item() is True
    left = gradient_of(made)
    assert p_norm(left, p) == pytest.approx(limit, rel=1e-9 + 1e-6 / norm.item())  # torch divides by norm + 1e-6
    assert left == pytest.approx([v * p_norm(left, p) / p_norm(gradient, p) for v in gradient], rel=1e-9)


@pytest.mark.parametrize(("p", "length"), [(1.0, 19.0), (2.0, 13.0), (3.0, 1819 ** (1 / 3)), (math.inf, 12.0)])
def test_length_after_clipping_is_the_limit(p, length):
    made = parameters(EXAMPLE)
    norm, clipped = clip(made, p, 0.1, None)
    assert (norm.item(), clipped.item()) == (pytest.approx(length), True)
    assert p_norm(gradient_of(made), p) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("p", NORM_TYPES)
@settings(deadline=None, max_examples=25)
@given(gradient=gradients, factor=st.floats(1.01, 100))
def test_short_gradient_is_left_alone(p, gradient, factor):
    made = parameters(gradient)
    _, clipped = clip(made, p, factor * p_norm(gradient, p), None)
    assert clipped.item() is False
    assert gradient_of(made) == gradient


@settings(deadline=None, max_examples=50)
@given(gradient=gradients, limit=st.floats(0.01, 60))
def test_elements_are_limited_one_by_one(gradient, limit):
    made = parameters(gradient)
    norm, clipped = clip(made, 2.0, None, limit)
    assert norm.item() == pytest.approx(p_norm(gradient, 2))
    assert clipped.item() is (max(map(abs, gradient)) > limit)
    assert gradient_of(made) == [min(max(v, -limit), limit) for v in gradient]


def test_both_limit_elements_first_then_the_length():
    made = parameters(EXAMPLE)
    norm, clipped = clip(made, 2.0, 1.0, 4.0)  # [3, -4, 0, 4] of length √41
    assert (norm.item(), clipped.item()) == (13.0, True)
    assert gradient_of(made) == pytest.approx([v / math.sqrt(41) for v in (3, -4, 0, 4)], rel=1e-6)


@pytest.mark.parametrize(
    ("max_norm", "max_value", "expected"),
    [(20.0, 4.0, True), (5.0, 20.0, True), (20.0, 20.0, False), (7.0, 4.0, True)],
)
def test_either_limit_counts_as_clipped(max_norm, max_value, expected):
    assert clip(parameters(EXAMPLE), 2.0, max_norm, max_value)[1].item() is expected


@pytest.mark.parametrize("p", NORM_TYPES)
@settings(deadline=None, max_examples=25)
@given(gradient=gradients)
def test_off_it_only_measures(p, gradient):
    made = parameters(gradient)
    norm, clipped = clip(made, p, None, None)
    assert (norm.item(), clipped.item()) == (pytest.approx(p_norm(gradient, p)), False)
    assert gradient_of(made) == gradient


def test_zero_gradient_stays_zero():
    made = parameters([0.0, 0.0])
    norm, clipped = clip(made, 2.0, 0.1, 0.1)
    assert (norm.item(), clipped.item(), gradient_of(made)) == (0.0, False, [0.0, 0.0])


def test_figures_are_scalars_of_the_gradient_s_kind():
    norm, clipped = clip(parameters(EXAMPLE), 2.0, 0.1, None)
    assert (norm.shape, norm.dtype) == ((), torch.float64)
    assert (clipped.shape, clipped.dtype) == ((), torch.bool)
