import pytest
import torch
from torch.nn import functional as F

from regbench import linear
from regbench.linear import Linear

needs_onednn = pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch without oneDNN")


def outcome(layer: torch.nn.Module, features: torch.Tensor, toward: torch.Tensor) -> list[torch.Tensor]:
    """Result of a layer and the gradients of features, weight and bias."""
    features = features.clone().requires_grad_()
    result = layer(features)
    result.backward(toward)
    return [result.detach(), features.grad, layer.weight.grad, layer.bias.grad]


@needs_onednn
@pytest.mark.parametrize(
    ("samples", "inputs", "outputs"), [(100, 784, 256), (1, 256, 64), (7, 3136, 100), (33, 128, 999)]
)
def test_onednn_products_are_those_of_torch(
    samples: int, inputs: int, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = torch.Generator().manual_seed(0)
    features, toward = (torch.randn(samples, width, generator=rng) for width in (inputs, outputs))
    layer, reference = Linear(inputs, outputs), torch.nn.Linear(inputs, outputs).double()
    with torch.no_grad():
        for mine, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
            theirs.copy_(mine.normal_(0, 0.1, generator=rng))
    calls = []
    product = linear.product
    monkeypatch.setattr(linear, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(linear, "product", lambda *tensors: calls.append(0) or product(*tensors))
    found = outcome(layer, features, toward)
    assert len(calls) == 3
    for mine, exact in zip(found, outcome(reference, features.double(), toward.double()), strict=True):
        torch.testing.assert_close(mine.double(), exact, rtol=1e-5, atol=2e-5)


@needs_onednn
def test_gradient_of_the_images_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    product = linear.product
    monkeypatch.setattr(linear, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(linear, "product", lambda *tensors: calls.append(0) or product(*tensors))
    Linear(784, 256)(torch.ones(5, 784)).sum().backward()
    assert len(calls) == 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_and_small_layers_are_torchs_own(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(linear, "product", None)
    for layer in (Linear(784, 256).to(dtype), Linear(256, 10)):
        features = torch.ones(3, layer.in_features, dtype=layer.weight.dtype)
        assert torch.equal(layer(features), F.linear(features, layer.weight, layer.bias))


def test_the_choice_does_not_depend_on_a_timing() -> None:
    linear.onednn_is_faster.cache_clear()
    first = linear.onednn_is_faster()
    linear.onednn_is_faster.cache_clear()
    assert linear.onednn_is_faster() is first
