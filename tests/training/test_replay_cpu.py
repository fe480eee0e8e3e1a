"""A replay repeats what a function did, with other inputs."""

import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from regbench.training.replay_cpu import record


def replayed(function, *inputs, others=None):
    """The outputs of a replay and of the function itself for other inputs of the same shapes."""
    again, outputs = record(function, inputs)
    assert all(map(torch.equal, outputs, function(*inputs)))
    others = others or [torch.randn_like(tensor) if tensor.is_floating_point() else tensor for tensor in inputs]
    return again(*others), function(*others)


def assert_replayed(function, *inputs, **more):
    outputs, expected = replayed(function, *inputs, **more)
    assert [tensor.shape for tensor in outputs] == [tensor.shape for tensor in expected]
    assert all(map(torch.equal, outputs, expected))


def test_operations_and_their_gradients():
    weight = torch.randn(5, 4, requires_grad=True)

    def function(x):
        loss = F.relu(x @ weight.T).square().mean()
        return [loss.detach(), *torch.autograd.grad(loss, [weight])]

    assert_replayed(function, torch.randn(3, 4))


def test_views_of_views_and_of_inputs():
    def function(x, y):
        z = (x + y).t()[1:].unsqueeze(0).expand(2, -1, -1)
        return [z.sum(), x[:, 1], z.flatten(1), (x * 2).unbind(1)[1], y.view(-1)[::2]]

    assert_replayed(function, torch.randn(4, 6), torch.randn(4, 6))


def test_writes_through_views():
    def function(x):
        total = torch.zeros(4, 6)
        total[1:3].t().add_(x)
        total.view(-1)[:5].mul_(3)
        return [total, total.sum(0)]

    assert_replayed(function, torch.randn(6, 2))


def test_tensors_from_outside_are_read_and_changed_by_each_replay():
    state = torch.zeros(3)

    def function(x):
        state.add_(x)
        return [state * 2]

    again, (first,) = record(function, [torch.ones(3)])
    assert first.tolist() == [2.0] * 3
    state.fill_(10)
    assert again(torch.ones(3))[0].tolist() == [22.0] * 3
    assert state.tolist() == [11.0] * 3


def test_operations_with_several_results():
    """The backward pass of a convolution returns None in place of a gradient of images; nothing uses topk's values."""
    weight = torch.randn(2, 1, 3, 3, requires_grad=True)

    def function(x):
        out = F.conv2d(x, weight)
        (gradient,) = torch.autograd.grad(out.square().sum(), [weight])
        return [gradient, out.detach().flatten(1).topk(2)[1], *torch.ops.aten._foreach_mul([gradient], 2.0)]

    assert_replayed(function, torch.randn(3, 1, 5, 5))


def test_tensors_as_keywords_and_operations_with_at_most_one_argument():
    def function(x):
        total, rates = torch.zeros(4, 6), x.abs()
        torch.add(x, 1, out=total)
        return [total, torch.relu(torch.addcmul(total, x, rates, value=2)), torch.empty([]).fill_(3)]

    assert_replayed(function, torch.randn(4, 6))


class Alive(TorchDispatchMode):
    """The most results of operations that exist at the same time."""

    def __init__(self):
        super().__init__()
        self.results, self.most = [], 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        self.results.append(weakref.ref(result))
        self.most = max(self.most, sum(reference() is not None for reference in self.results))
        return result


def test_a_replay_frees_tensors_that_it_needs_no_more():
    def function(x):
        for _ in range(10):
            x = x + 1
        return [x]

    again, (x,) = record(function, [torch.zeros(2)])
    with Alive() as alive:
        again(x)
    assert (len(alive.results), alive.most) == (10, 2)


def test_what_nothing_needs_is_not_repeated():
    def function(x):
        (x * 3).sum()
        return [x + 1]

    again, (x,) = record(function, [torch.zeros(2)])
    with Alive() as alive:
        again(x)
    assert len(alive.results) == 1


def operations(function, *inputs):
    """How many operations a replay carries out."""
    again, _ = record(function, inputs)
    with Alive() as alive:
        again(*inputs)
    return len(alive.results)


def test_what_is_the_same_in_each_call_is_not_repeated():
    weight = torch.randn(4, requires_grad=True)

    def function(x):
        loss = (x * weight).sum()
        (gradient,) = torch.autograd.grad(loss, [weight])  # begins with a one, in the shape of the sum
        return [gradient, torch.zeros_like(loss).add(2)]

    assert operations(function, torch.randn(4)) == 1
    assert_replayed(function, torch.randn(4))


def test_chance_and_what_is_changed_are_the_same_in_no_call():
    weight, generator = torch.ones(3), torch.Generator().manual_seed(0)

    def function(x):
        drawn = torch.ones_like(x).bernoulli(0.5, generator=generator)
        total = torch.zeros_like(x)
        total.add_(x)
        weight.add_(torch.ones_like(x))
        return [drawn, total, weight * torch.ones_like(x)]

    again, _ = record(function, [torch.zeros(3)])
    draws = torch.stack([again(torch.ones(3))[0] for _ in range(20)])
    assert draws.unique(dim=0).shape[0] > 1
    assert [tensor.tolist() for tensor in again(torch.full((3,), 7.0))[1:]] == [[7.0] * 3, [23.0] * 3]


def test_a_replay_that_is_gone_holds_no_tensors():
    """Without waiting for the garbage collector."""
    state = torch.zeros(3)
    again, outputs = record(lambda x, state=state: [state.add_(x) * 2], [torch.ones(3)])
    gone = weakref.ref(state)
    del state, again, outputs
    assert gone() is None


def test_running_statistics():
    norm = torch.nn.BatchNorm1d(4)
    again, _ = record(lambda x: [norm(x).detach()], [torch.randn(8, 4)])
    other = torch.nn.BatchNorm1d(4)
    other.load_state_dict(norm.state_dict())
    x = torch.randn(8, 4)
    assert torch.equal(again(x)[0], other(x))
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in norm.state_dict().items())


@pytest.mark.parametrize(
    "inputs", [lambda x: x.t(), lambda x: x[1:5], lambda x: x[:, ::2], lambda x: x[:1].expand(4, -1)]
)
def test_inputs_with_another_layout_in_memory(inputs):
    shape = inputs(torch.zeros(6, 6)).shape
    assert_replayed(lambda x: [x.reshape(-1) * 2, x.t() + 1], torch.randn(shape), others=[inputs(torch.randn(6, 6))])


def test_later_replays_do_not_write_to_outputs():
    again, (first,) = record(lambda x: [x + 1], [torch.zeros(2)])
    second = again(torch.ones(2))[0]
    again(torch.full((2,), 5.0))
    assert (first.tolist(), second.tolist()) == ([1.0, 1.0], [2.0, 2.0])


@pytest.mark.parametrize("function", [lambda x: [x * x.sum().item()], lambda x: [x if x.sum() > 0 else -x]])
def test_a_number_read_out_of_a_tensor_cannot_be_repeated(function):
    with pytest.raises(RuntimeError, match=r"_local_scalar_dense.* does not return a tensor"):
        record(function, [torch.ones(2)])


def test_memory_that_is_read_as_another_type_cannot_be_repeated():
    with pytest.raises(RuntimeError, match=r"view of torch\.float32 as torch\.int32"):
        record(lambda x: [(x + 1).view(torch.int32) + 1], [torch.ones(2)])


def writable(tensor):
    return tensor if all(tensor.stride()) else tensor.clone()


VIEWS = [
    lambda t: t.transpose(0, 1),
    lambda t: t[1:],
    lambda t: t.unsqueeze(0).flatten(0, 1),
    lambda t: t.reshape(-1, 2),
    lambda t: writable(t).mul_(2),
    lambda t: t + t.mean(),
    lambda t: t.select(0, 0).expand(3, -1),
    lambda t: torch.cat([t, t]),
    lambda t: writable(t).detach().clamp_(min=-1),
]


@given(st.lists(st.sampled_from(range(len(VIEWS))), max_size=6), st.booleans())
def test_any_chain_of_views_and_changes(chain, inputs):
    """The function must not write to its inputs, so the chain starts with a copy or a product."""

    def function(x):
        seen = [x * 2 if inputs else x.clone()]
        for number in chain:
            if seen[-1].shape[0] < 2 or seen[-1].numel() % 2:
                break
            seen.append(VIEWS[number](seen[-1]))
        return seen

    torch.manual_seed(0)
    assert_replayed(function, torch.randn(4, 6))
