"""What a model makes of an image, counted."""

import pytest

from regbench.models import sizes
from regbench.models.architectures import skeleton, weight_count


def test_an_mlp(make_config):
    model = skeleton(make_config("model.hidden=[16,8]", "norm=batch"))
    counted = sizes.sizes(model)
    assert counted.products == 784 * 16 + 16 * 8 + 8 * 10
    assert counted.features == 784 + 3 * 16 + 3 * 8 + 10  # flat; linear, norm and activation of each block


def test_a_cnn_has_products_at_each_place_of_an_image(make_config):
    counted = sizes.sizes(skeleton(make_config("model=cnn", "model.channels=[2,3]", "model.dense=[4]")))
    assert counted.products == 28 * 28 * (2 * 9 + 3 * 9 * 2) + 14 * 14 * 3 * 4 + 4 * 10


@pytest.mark.slow
def test_a_large_model_is_counted_without_its_memory(make_config, monkeypatch):
    model = skeleton(make_config("model=cnn", "norm=layer"))
    expected = sizes.sizes.__wrapped__(model)
    monkeypatch.setattr(sizes, "_MOST_REAL_WEIGHTS", weight_count(model) - 1)
    assert sizes.sizes.__wrapped__(model) == expected
