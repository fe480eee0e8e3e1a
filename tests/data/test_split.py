from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regbench.data.datasets import DATASETS
from regbench.data.split import Split, moments, order, prepare, stratified_order
from regbench.errors import UserError
from regbench.images import Images
from support import synthetic_images

SMALL = synthetic_images()


def split(images: Images = SMALL, seed: int = 0, **changes: object) -> Split:
    defaults = {"val_size": 20, "train_size": None, "scaling": "standard", "mean": 0.1307, "std": 0.3081}
    defaults |= {"label_noise": 0.0}
    return prepare(images, seed, **(defaults | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def mnist() -> Images:
    return DATASETS["mnist"](Path("unused"))


# the split


@settings(deadline=None)
@given(val_size=st.integers(0, 96), seed=st.integers(0, 2**64), share=st.none() | st.floats(0, 1))
def test_training_and_validation_are_disjoint(val_size, seed, share):
    left = 97 - val_size
    train_size = None if share is None else max(1, round(share * left))
    made = split(seed=seed, val_size=val_size, train_size=train_size)
    train, val = set(made.train.tolist()), set(made.val.tolist())
    assert len(made.train) == len(train) == (left if train_size is None else train_size)
    assert len(made.val) == len(val) == val_size
    assert not train & val
    assert train | val <= set(range(97))
    if train_size is None:
        assert train | val == set(range(97))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), sizes=st.tuples(st.integers(1, 77), st.integers(1, 77)))
def test_smaller_training_sets_are_nested_and_leave_validation_alone(seed, sizes):
    small, large = (split(seed=seed, train_size=size) for size in sorted(sizes))
    assert torch.equal(small.train, large.train[: len(small.train)])
    assert torch.equal(small.val, large.val)
    assert torch.equal(small.val, split(seed=seed, scaling="none").val)


@settings(deadline=None)
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), seed=st.integers(0, 2**32))
def test_image_r_of_its_class_comes_at_its_share_of_the_order(labels, seed):
    ordered = [labels[row] for row in stratified_order(torch.tensor(labels), seed)]
    places = [(ordered[:at].count(label) + 0.5) / labels.count(label) for at, label in enumerate(ordered)]
    assert sorted(ordered) == sorted(labels)
    assert places == sorted(places)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_beginning_and_end_of_mnist_holds_each_class_within_one_image(mnist, seed):
    ordered = mnist.train_labels[stratified_order(mnist.train_labels, seed)]
    so_far = torch.nn.functional.one_hot(ordered).cumsum(0)
    expected = torch.arange(1, 60_001, dtype=torch.float64)[:, None] * so_far[-1] / 60_000
    assert (so_far - expected).abs().max() <= 1


def test_seeds_split_differently_and_repeatably():
    again, first, second = split(seed=0).val, split(seed=0).val, split(seed=1).val
    assert torch.equal(first, again)
    assert set(first.tolist()) != set(second.tolist())


def test_all_seeds_share_the_images():
    first, second = split(seed=0), split(seed=1, train_size=5)
    assert first.train_images.data_ptr() == second.train_images.data_ptr() == SMALL.train_images.data_ptr()
    assert torch.equal(first.test_images, SMALL.test_images)
    assert torch.equal(first.test_labels, SMALL.test_labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"val_size": 97}, "data.val_size=97: must be below 97, the number of training images"),
        (
            {"val_size": 20, "train_size": 78},
            "data.train_size=78: must be at most 77, what data.val_size=20 leaves of 97 images",
        ),
    ],
)
def test_too_large_a_split_is_one_line(settings, message):
    with pytest.raises(UserError) as refusal:
        split(**settings)
    assert str(refusal.value) == message


# label noise


@settings(deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**32), train_size=st.none() | st.integers(1, 77))
def test_label_noise_replaces_its_share_of_the_training_labels_and_no_other(share, seed, train_size):
    clean, noisy = (split(seed=seed, train_size=train_size, label_noise=noise) for noise in (0.0, share))
    wrong = noisy.train_labels != SMALL.train_labels
    assert wrong[noisy.train].sum() == wrong.sum() == round(share * len(noisy.train))
    assert set(noisy.train_labels.tolist()) <= set(SMALL.train_labels.tolist())
    assert torch.equal(noisy.train, clean.train) and torch.equal(noisy.val, clean.val)
    assert torch.equal(noisy.test_labels, SMALL.test_labels)
    assert noisy.train_images is SMALL.train_images


def test_more_noise_keeps_what_less_noise_has_replaced():
    less, more = (split(label_noise=share).train_labels for share in (0.2, 0.6))
    changed = less != SMALL.train_labels
    assert torch.equal(less[changed], more[changed])


def test_seeds_have_noise_of_their_own_and_repeatably():
    first, again, second = (split(seed=seed, val_size=0, label_noise=0.5).train_labels for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_wrong_labels_are_each_as_likely(mnist):
    noisy = split(mnist, val_size=0, label_noise=0.9).train_labels
    steps = (noisy - mnist.train_labels) % 10
    counts = steps.bincount(minlength=10)
    assert counts[0] == 6_000
    assert ((counts[1:] - 6_000).abs() < 5 * 6_000**0.5).all()


# scaling


def test_mnist_mean_and_std_are_the_usual_ones(mnist):
    pixels = mnist.train_images.numpy()
    mean = pixels.mean(dtype=np.float64) / 255
    std = np.sqrt(np.square(pixels, dtype=np.uint16).mean(dtype=np.float64) / 255**2 - mean**2)
    assert (mean, std) == pytest.approx((0.1307, 0.3081), abs=5e-5)
    assert moments(mnist.train_images) == pytest.approx((mean, std))


@pytest.mark.parametrize(
    ("settings", "formula"),
    [
        ({"scaling": "none"}, lambda pixel: pixel),
        ({"scaling": "unit"}, lambda pixel: pixel / 255),
        ({"mean": 0.1307, "std": 0.3081}, lambda pixel: (pixel / 255 - 0.1307) / 0.3081),
        ({"mean": 0.0, "std": 2.0}, lambda pixel: pixel / 255 / 2),
    ],
)
def test_scaling_is_its_formula(settings, formula):
    pixels = torch.arange(256, dtype=torch.uint8)
    scaled = split(**settings).scaled(pixels)
    assert scaled.dtype == torch.float32
    torch.testing.assert_close(scaled.double(), formula(pixels.double()), rtol=1e-6, atol=1e-6)
    assert torch.equal(pixels, torch.arange(256, dtype=torch.uint8))


def test_unit_scaling_reaches_exactly_0_and_1():
    assert split(scaling="unit").scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0.0, 1.0]


def test_computed_mean_and_std_are_those_of_the_training_images_alone():
    made = split(mean=None, std=None, train_size=7)
    pixels = SMALL.train_images[made.train].numpy().astype(np.float64) / 255
    assert made.scale == pytest.approx(1 / (255 * pixels.std()), rel=1e-12)
    assert made.shift == pytest.approx(-pixels.mean() / pixels.std(), rel=1e-12)
    x, _ = made.batch(made.train)
    assert x.mean().item() == pytest.approx(0, abs=1e-5)
    assert x.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_one_of_mean_and_std_can_be_given():
    pixels = SMALL.train_images[split().train].numpy() / 255.0
    assert split(mean=0.5, std=None).shift == pytest.approx(-0.5 / pixels.std())
    assert split(mean=None, std=0.5).shift == pytest.approx(-pixels.mean() / 0.5)


def test_images_all_alike_scale_to_zero():
    pixels, labels = torch.full((9, 28, 28), 51, dtype=torch.uint8), torch.arange(9) % 3
    alike = Images(pixels, labels, SMALL.test_images, SMALL.test_labels)
    made = split(alike, val_size=3, mean=None, std=None)
    x, _ = made.batch(made.train)
    torch.testing.assert_close(x, torch.zeros(6, 28, 28), rtol=0, atol=1e-6)


# batches


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (0,)])
def test_batch_keeps_the_shape_of_its_rows(shape):
    rows = torch.randint(0, 97, shape, generator=torch.Generator().manual_seed(1))
    made = split()
    x, y = made.batch(rows)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert torch.equal(x, made.scaled(SMALL.train_images[rows]))
    assert torch.equal(y, SMALL.train_labels[rows])


def test_order_is_a_permutation_of_its_seed_and_epoch():
    assert order(50, 3, 1).sort().values.tolist() == list(range(50))
    assert torch.equal(order(50, 3, 1), order(50, 3, 1))
    assert not torch.equal(order(50, 3, 1), order(50, 3, 2))
    assert not torch.equal(order(50, 3, 1), order(50, 4, 1))


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    split(seed=5, mean=None, std=None)
    order(50, 5, 0)
    assert torch.equal(torch.get_rng_state(), before)
