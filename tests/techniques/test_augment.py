import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as vision
from torchvision.transforms.functional import InterpolationMode

from regbench.data.split import Split, load_split
from regbench.images import SIDE
from regbench.rng import Stream, generator
from regbench.techniques import augment
from regbench.techniques.augment import AUGMENTS, Draws, apply, draw, moving, together
from regbench.training.trainer import Trainer

CPU = torch.device("cpu")
SAMPLES = 40
CHANGING = sorted(set(AUGMENTS) - {"none", "custom"})
STRONG = {
    "affine": {"degrees": 30.0, "translate": 0.2, "scale": [0.7, 1.3], "shear": 20.0},
    "random_resized_crop": {"scale": [0.2, 0.9]},
    "flip_rotate": {"flip": 0.5, "quarter_turn": 0.7},
    "erasing": {"p": 0.9, "value": 0.5},
    "custom": {"flip": 0.5, "degrees": 20.0, "resize": 32, "crop_scale": [0.5, 1.0], "erase_p": 0.5},
}
NOTHING = {
    "none": {},
    "affine": {"degrees": 0.0, "translate": 0.0, "scale": [1.0, 1.0], "shear": 0.0},
    "random_resized_crop": {"scale": [1.0, 1.0], "ratio": [1.0, 1.0]},
    "flip_rotate": {"flip": 0.0, "quarter_turn": 0.0},
    "erasing": {"p": 0.0},
    "custom": {},
}


def images(samples: int = SAMPLES) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (samples, SIDE, SIDE), generator=rng).float()


def smooth() -> Tensor:
    """An image without sharp edges, on which ways to interpolate differ little."""
    place = torch.linspace(0, 3, SIDE)
    return 120 + 60 * (place[:, None].sin() + (place * 1.5).cos())


def rng(seed: int = 0) -> torch.Generator:
    return generator(seed, Stream.AUGMENT, 3)


def changed(option, seed: int = 0, pictures: Tensor | None = None) -> Tensor:
    pictures = images() if pictures is None else pictures
    return apply(pictures, draw(option, len(pictures), rng(seed)))


def numbers(*values: float) -> tuple[Tensor, ...]:
    return tuple(torch.tensor([value]) for value in values)


# what every option must do


@pytest.mark.parametrize("name", AUGMENTS)
def test_what_changes_nothing_keeps_every_bit(make_option, name):
    assert torch.equal(changed(make_option("augment", name, **NOTHING[name])), images())


@pytest.mark.parametrize("name", STRONG)
def test_each_sample_has_a_draw_of_its_own(make_option, name):
    alike = images(1).expand(SAMPLES, -1, -1)
    actual = changed(make_option("augment", name, **STRONG[name]), pictures=alike)
    assert actual.shape == (SAMPLES, SIDE, SIDE) and actual.dtype == torch.float32
    different = {tuple(image.flatten().tolist()) for image in actual}
    assert len(different) > (6 if name == "flip_rotate" else SAMPLES * 0.8)


@pytest.mark.parametrize("name", STRONG)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(make_option, name):
    option = make_option("augment", name, **STRONG[name])
    assert torch.equal(changed(option), changed(option))
    assert not torch.equal(changed(option), changed(option, seed=1))


@pytest.mark.parametrize("name", STRONG)
def test_pixels_stay_between_black_and_white(make_option, name):
    actual = changed(make_option("augment", name, **STRONG[name]))
    assert actual.min() >= 0
    assert actual.max() <= 255.001


def test_batches_of_many_runs_go_through_together(make_option):
    options = [make_option("augment", name, **STRONG[name]) for name in STRONG] + [make_option("augment", "none")]
    draws = [draw(option, SAMPLES, rng(seed)) for seed, option in enumerate(options)]
    at_once = apply(images().repeat(len(options), 1, 1), together(draws))
    alone = [apply(images(), of_run) for of_run in draws]
    assert torch.equal(at_once, torch.cat(alone))


def test_it_can_be_mapped_over_runs(make_option):
    draws = [draw(make_option("augment", "custom", **STRONG["custom"]), SAMPLES, rng(seed)) for seed in range(3)]
    stacked = Draws(*map(torch.stack, zip(*draws, strict=True)))
    mapped = torch.vmap(apply, in_dims=(None, 0))(images(), stacked)
    torch.testing.assert_close(mapped, torch.stack([apply(images(), of_run) for of_run in draws]))


# each transformation against torchvision's on a single image


@pytest.mark.parametrize(
    ("angle", "shift", "scale", "slant"),
    [
        (0, (3, -2), 1, 0),
        (30, (0, 0), 1, 0),
        (-75, (0, 0), 1, 0),
        (0, (0, 0), 1.4, 0),
        (0, (0, 0), 0.6, 0),
        (0, (0, 0), 1, 25),
        (20, (4, 5), 0.8, -15),
    ],
)
def test_affine_is_torchvision_s(angle, shift, scale, slant):
    theirs = vision.affine(images(1), angle, list(shift), scale, [slant, 0.0], interpolation=InterpolationMode.BILINEAR)
    radians, slanted = (torch.tensor([float(degrees)]).deg2rad() for degrees in (angle, slant))
    maps = augment.affine_maps(radians, *numbers(float(shift[0]), float(shift[1]), float(scale)), slanted)
    torch.testing.assert_close(apply(images(1), moving(maps)), theirs, rtol=1e-4, atol=0.05)


def test_affine_draws_within_its_limits(make_option):
    args = make_option("augment", "affine", degrees=30.0, translate=0.25, scale=[0.5, 2.0]).args
    maps = AUGMENTS["affine"](4_000, rng(), **args).maps
    scale = 1 / torch.linalg.det(maps[:, :, :2]).sqrt()
    angle = torch.rad2deg(torch.atan2(-maps[:, 1, 0], maps[:, 0, 0]))
    shift = -torch.linalg.solve(maps[:, :, :2], maps[:, :, 2])
    for values, low, high in ((scale, 0.5, 2.0), (angle, -30, 30), (shift, -7, 7)):
        assert values.min() == pytest.approx(low, abs=0.03 * (high - low))
        assert values.max() == pytest.approx(high, abs=0.03 * (high - low))
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
        assert values.min() > low - 1e-3 and values.max() < high + 1e-3


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_flip_and_quarter_turns_move_whole_pixels(turn, flip):
    image = images(1)
    maps = augment.flip_maps(torch.tensor([flip]), torch.tensor([turn]))
    turned = torch.rot90(vision.hflip(image) if flip else image, turn, (1, 2))
    assert torch.equal(apply(image, moving(maps)), turned)


def test_all_eight_positions_come_as_often_as_said(make_option):
    actual = changed(
        make_option("augment", "flip_rotate", flip=0.25, quarter_turn=0.6), pictures=images(1).expand(4000, -1, -1)
    )
    for flip in (False, True):
        for turn in range(4):
            image = torch.rot90(images(1)[0].flip(-1) if flip else images(1)[0], turn)
            share = (actual == image).all((1, 2)).float().mean().item()
            expected = (0.25 if flip else 0.75) * (0.2 if turn else 0.4)
            assert share == pytest.approx(expected, abs=4 * math.sqrt(expected / 4000))


@pytest.mark.parametrize(("top", "left", "height", "width"), [(0, 0, 28, 28), (3, 5, 20, 14), (10, 2, 8, 26)])
def test_a_crop_is_torchvision_s_except_at_its_border(top, left, height, width):
    maps = augment.crop_maps(*numbers(float(width), float(height), float(left), float(top)))
    actual = apply(smooth()[None], moving(maps))
    theirs = vision.resized_crop(smooth()[None], top, left, height, width, [SIDE, SIDE], antialias=False)
    border = math.ceil(SIDE / min(height, width))
    inner = slice(border, SIDE - border)
    torch.testing.assert_close(actual[:, inner, inner], theirs[:, inner, inner], rtol=1e-4, atol=0.01)


def test_crops_have_the_areas_and_ratios_said(make_option):
    args = make_option("augment", "random_resized_crop", scale=[0.1, 0.5], ratio=[0.5, 2.0]).args
    maps = AUGMENTS["random_resized_crop"](4_000, rng(), **args).maps
    width, height = maps[:, 0, 0], maps[:, 1, 1]
    area, ratio = width * height, (width / height).log()
    for values, low, high in ((area, 0.1, 0.5), (ratio, math.log(0.5), math.log(2.0))):
        assert low - 1e-5 < values.min() < values.max() < high + 1e-5
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.02)
    left, right = maps[:, 0, 2] - width * SIDE / 2, maps[:, 0, 2] + width * SIDE / 2
    assert left.min() >= -SIDE / 2 - 1e-4 and right.max() <= SIDE / 2 + 1e-4


def test_resize_and_centre_crop_is_torchvision_s_except_at_its_border(make_option):
    option = make_option("augment", "custom", resize=40)
    resized = vision.resize(smooth()[None], [40, 40], antialias=False)
    expected = vision.center_crop(resized, [SIDE, SIDE])
    torch.testing.assert_close(changed(option, pictures=smooth()[None]), expected, rtol=1e-4, atol=0.01)


def test_erasing_is_torchvision_s(make_option):
    option = make_option("augment", "erasing", p=1.0, value=0.5)
    draws = draw(option, SAMPLES, rng())
    for image, actual, box in zip(images(), apply(images(), draws), draws.boxes.int().tolist(), strict=True):
        left, top, right, bottom = box
        assert torch.equal(
            actual, vision.erase(image[None], top, left, bottom - top, right - left, torch.tensor(127.5))[0]
        )


def test_erased_shares_are_those_said(make_option):
    args = make_option("augment", "erasing", p=0.7, scale=[0.1, 0.3], ratio=[1.0, 1.0]).args
    boxes = AUGMENTS["erasing"](4_000, rng(), **args).boxes
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    there = width > 0
    assert there.float().mean() == pytest.approx(0.7, abs=0.03)
    assert torch.equal(width, height), "a ratio of 1"
    area = (width * height)[there] / SIDE**2
    assert area.mean() == pytest.approx(0.2, abs=0.01)
    assert boxes.min() == 0 and boxes.max() == SIDE


def test_custom_does_all_in_turn():
    """Flipped, then shifted, then cropped, and the box on top."""
    flipped = augment.flip_maps(torch.tensor([True]), torch.tensor([0]))
    maps = augment.chained(flipped, augment.affine_maps(*numbers(0.0, 3.0, 0.0, 1.0, 0.0)))
    shifted = torch.zeros(1, SIDE, SIDE)
    shifted[:, :, 3:] = vision.hflip(images(1))[:, :, :-3]
    assert torch.equal(apply(images(1), moving(maps)), shifted)


# training


class Seen(Trainer):
    """A trainer that keeps the batches it trains on."""

    def __init__(self, configs, splits) -> None:
        super().__init__(configs, splits, CPU)
        self.batches: list[Tensor] = []
        step = self.stack.step
        self.stack.step = lambda x, y: (self.batches.append(x.clone()), step(x, y))[1]  # type: ignore[method-assign]


TINY = ("model.hidden=[16]", "data.train_size=200", "data.val_size=100", "epochs=2")


def seen(make_config, *overrides: str) -> Seen:
    config = make_config(*TINY, *overrides)
    trainer = Seen([config], [load_split(config.data, config.seed, CPU, Path("unused"))])
    list(trainer.epochs(lambda samples: None))
    return trainer


def test_training_images_get_new_draws_each_epoch_and_the_same_in_a_second_run(make_config):
    first, again = (seen(make_config, "augment=affine").batches for _ in range(2))
    plain = seen(make_config).batches
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, plain))
    black = torch.tensor(-0.1307 / 0.3081)
    assert all(batch.min() == pytest.approx(black.item(), abs=1e-5) for batch in first), "beyond the border is black"


def test_the_batch_order_is_left_alone(make_config):
    off = ("augment=custom",)
    for batch, plain in zip(seen(make_config, *off).batches, seen(make_config).batches, strict=True):
        assert torch.equal(batch, plain)


def test_validation_and_test_images_are_never_augmented(make_config, monkeypatch):
    def split_of(*overrides: str) -> tuple[Trainer, Split]:
        config = make_config(*TINY, "optimizer=sgd", "optimizer.lr=0", *overrides)
        split = load_split(config.data, config.seed, CPU, Path("unused"))
        return Trainer([config], [split], CPU), split

    scores = []
    for overrides in ((), ("augment=erasing", "augment.p=1", "augment.scale=[0.9,1.0]")):
        trainer, _ = split_of(*overrides)
        records = [epoch[0] for epoch in trainer.epochs(lambda samples: None)]
        scores.append((records[0].train_loss, records[0].val_loss, trainer.test()[0]))
    assert scores[0][0] != scores[1][0]
    assert scores[0][1:] == scores[1][1:]


@pytest.mark.parametrize("values", [[1.1, 0.9], [0.0, 1.0], [1.0]], ids=str)
def test_a_range_is_ascending(make_option, values):
    with pytest.raises(Exception, match=r"^augment\.scale.*: must be two numbers above 0, the lesser first$"):
        make_option("augment", "affine", scale=values)
