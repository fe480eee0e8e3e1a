from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from regbench.models import dense
from regbench.models.dense import Linear, stacked

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
    product = dense.product
    monkeypatch.setattr(dense, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(dense, "product", lambda *tensors: calls.append(0) or product(*tensors))
    actual = outcome(layer, features, toward)
    assert len(calls) == 3
    for mine, exact in zip(actual, outcome(reference, features.double(), toward.double()), strict=True):
        torch.testing.assert_close(mine.double(), exact, rtol=1e-5, atol=2e-5)


@needs_onednn
def test_gradient_of_the_images_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    product = dense.product
    monkeypatch.setattr(dense, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(dense, "product", lambda *tensors: calls.append(0) or product(*tensors))
    Linear(784, 256)(torch.ones(5, 784)).sum().backward()
    assert len(calls) == 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_and_small_layers_are_torchs_own(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(dense, "product", None)
    for layer in (Linear(784, 256).to(dtype), Linear(256, 10)):
        features = torch.ones(3, layer.in_features, dtype=layer.weight.dtype)
        assert torch.equal(layer(features), F.linear(features, layer.weight, layer.bias))


@pytest.mark.parametrize(
    ("dtype", "onednn", "inputs"),
    [
        (torch.float64, False, 784),
        (torch.float32, False, 784),
        pytest.param(torch.float32, True, 784, marks=needs_onednn),
    ],
    ids=["float64", "float32", "oneDNN"],
)
@pytest.mark.parametrize("images", [True, False])
def test_layers_of_several_runs_are_those_of_each(
    dtype: torch.dtype, onednn: bool, inputs: int, images: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the gradient of the features, unless they are the images."""
    monkeypatch.setattr(dense, "onednn_is_faster", lambda: onednn)
    rng = torch.Generator().manual_seed(0)
    shapes = ((3, 20, inputs), (3, 64, inputs), (3, 64), (3, 20, 64))
    features, weight, bias, toward = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in shapes)
    leaves = [
        tensor.to(dtype).requires_grad_(wanted)
        for tensor, wanted in ((features, not images), (weight, True), (bias, True))
    ]
    result = stacked(*leaves)
    result.backward(toward.to(dtype))
    tolerance = {"rtol": 1e-12, "atol": 1e-11} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 2e-4}
    for run in range(3):
        exact = [tensor[run].detach().clone().requires_grad_() for tensor in (features, weight, bias)]
        expected = F.linear(*exact)
        expected.backward(toward[run])
        torch.testing.assert_close(result[run].double(), expected, **tolerance)
        for leaf, reference in zip(leaves, exact, strict=True):
            if leaf.requires_grad:
                torch.testing.assert_close(leaf.grad[run].double(), reference.grad, **tolerance)
    assert (leaves[0].grad is None) == images


def test_layers_of_several_runs_are_of_bfloat16_under_autocast() -> None:
    features, weight, bias = torch.ones(2, 3, 8), torch.ones(2, 4, 8), torch.ones(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert stacked(features, weight, bias).dtype == torch.bfloat16
    assert stacked(features, weight, bias).dtype == torch.float32


@pytest.mark.parametrize(
    ("vendor", "family", "capability", "faster"),
    [
        ("AuthenticAMD", 26, "AVX512", True),
        ("AuthenticAMD", 25, "AVX512", False),
        ("AuthenticAMD", 26, "AVX2", False),
        ("GenuineIntel", 26, "AVX512", False),
        (None, None, "AVX512", False),
    ],
)
@needs_onednn
def test_the_kind_of_processor_alone_chooses(
    vendor: str | None,
    family: int | None,
    capability: str,
    faster: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if vendor:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\n")
    monkeypatch.setattr(dense, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    dense.onednn_is_faster.cache_clear()
    request.addfinalizer(dense.onednn_is_faster.cache_clear)
    assert dense.onednn_is_faster() == faster
