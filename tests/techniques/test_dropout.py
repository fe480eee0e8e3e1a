import pytest
import torch

from regbench.techniques.dropout import Dropout, draw

RATES = [0.1, 0.25, 0.5, 0.9]
UNITS, MAPS = (40,), (40, 1, 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(shape=UNITS, rate=0.5, samples=500, rng=None):
    layer = Dropout(shape, rate)
    layer.mask = torch.empty(samples, *shape)
    draw(layer.mask, rate, rng or seeded())
    return layer


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("shape", [UNITS, MAPS])
def test_mask_is_zero_or_the_inverse_share_kept(shape, rate):
    mask = drawn(shape, rate).mask
    assert mask.shape == (500, *shape)
    dropped = mask == 0
    torch.testing.assert_close(mask[~dropped], torch.full_like(mask[~dropped], 1 / (1 - rate)))
    standard_error = (rate * (1 - rate) / mask.numel()) ** 0.5
    assert dropped.float().mean().item() == pytest.approx(rate, abs=4 * standard_error)


@pytest.mark.parametrize("rate", RATES)
def test_every_unit_and_every_sample_is_dropped_as_often(rate):
    dropped = (drawn(rate=rate, samples=2_000).mask == 0).double()
    for dim, n in ((0, 2_000), (1, 40)):
        shares = dropped.mean(dim)
        assert (shares - rate).abs().max() < 5 * (rate * (1 - rate) / n) ** 0.5


@pytest.mark.parametrize("rate", RATES)
def test_expected_features_are_the_features(rate):
    features = torch.randn(1, 40, generator=seeded(1))
    layer = drawn(rate=rate, samples=20_000)
    mean = layer(features.expand(20_000, -1)).mean(0)
    standard_error = features[0].abs() * (rate / (1 - rate) / 20_000) ** 0.5
    assert ((mean - features[0]).abs() <= 4 * standard_error).all()


def test_training_multiplies_by_the_mask():
    layer, features = drawn(samples=6), torch.randn(6, 40, generator=seeded(1), requires_grad=True)
    layer(features).sum().backward()
    assert torch.equal(layer(features), features * layer.mask)
    assert torch.equal(features.grad, layer.mask)


def test_whole_feature_maps_are_dropped():
    maps = 1 + torch.rand(7, 40, 5, 6, generator=seeded(1))
    ratio = drawn(MAPS, 0.5, samples=7)(maps) / maps
    lowest, highest = ratio.amin((2, 3)), ratio.amax((2, 3))
    torch.testing.assert_close(lowest, highest)
    assert set(highest.round(decimals=4).flatten().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("prepared", [True, False])
def test_evaluation_drops_nothing(prepared):
    layer = drawn(samples=6) if prepared else Dropout(UNITS, 0.5)
    features = torch.randn(9, 40, generator=seeded(1))
    assert torch.equal(layer.eval()(features), features)


def test_rate_zero_drops_nothing_and_draws_nothing():
    rng = seeded(3)
    assert torch.equal(drawn(rate=0.0, rng=rng).mask, torch.ones(500, 40))
    assert torch.equal(rng.get_state(), seeded(3).get_state())


def test_mask_stays_until_the_next_is_drawn():
    layer, features = drawn(samples=6), torch.ones(6, 40)
    assert torch.equal(layer(features), layer(features))


def test_equal_generators_draw_equal_masks():
    assert torch.equal(drawn(rng=seeded(3)).mask, drawn(rng=seeded(3)).mask)
    assert not torch.equal(drawn(rng=seeded(3)).mask, drawn(rng=seeded(4)).mask)


def test_each_draw_differs():
    rng = seeded()
    first, second = drawn(rng=rng).mask, drawn(rng=rng).mask
    agreement = (first == second).double().mean().item()
    assert agreement == pytest.approx(0.5, abs=0.02)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    drawn()(torch.ones(500, 40))
    assert torch.equal(torch.get_rng_state(), before)


def test_mask_is_no_part_of_the_saved_state():
    assert drawn().state_dict() == {}
