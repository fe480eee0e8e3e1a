"""A folder of class folders as a data set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as vision

from regbench.config.registry import Option
from regbench.data import datasets, image_folder
from regbench.data.datasets import class_count
from regbench.data.split import load_split
from regbench.errors import UserError

CPU = torch.device("cpu")
CLASSES = ("cat", "dog", "eel")


@pytest.fixture(autouse=True)
def forgotten():
    """Each test reads its folders itself."""
    caches = (image_folder.listed, image_folder.digest, datasets.load, datasets.load_on)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def picture(seed: int, size: tuple[int, int] = (40, 60), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def images(tmp_path) -> Path:
    """6 images to train on and 3 to test on for each of three classes, of several sizes, kinds and formats."""
    for part, count in (("train", 6), ("test", 3)):
        for label, name in enumerate(CLASSES):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                seed = 100 * label + number + 1000 * (part == "test")
                suffix = ("png", "bmp")[number % 2]
                made = picture(seed, (20 + 7 * number, 30), ("RGB", "L", "P")[number % 3])
                made.save(tmp_path / part / name / f"{number}.{suffix}")
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    return tmp_path


def one_line(path: object) -> str:
    with pytest.raises(UserError) as caught:
        image_folder.read(str(path))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"data.path={path}: ")
    return line


def test_every_image_is_read_with_the_place_of_its_folder_as_label(images):
    read = image_folder.read(str(images))
    assert read.train_images.shape == (18, 28, 28) and read.test_images.shape == (9, 28, 28)
    assert read.train_images.dtype == read.test_images.dtype == torch.uint8
    assert read.train_labels.dtype == torch.int64
    assert read.train_labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert read.test_labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_images_are_resized_and_grey_as_by_torchvision(images):
    read = image_folder.read(str(images))
    for row, name in ((0, "cat/0.png"), (9, "dog/3.bmp"), (17, "eel/5.bmp")):
        with Image.open(images / "train" / name) as image:
            expected = vision.pil_to_tensor(vision.resize(vision.to_grayscale(image.convert("RGB")), [28, 28]))[0]
        assert (read.train_images[row].int() - expected.int()).abs().max() <= 1


def test_an_image_of_the_right_size_keeps_its_pixels(images):
    exact = picture(7, (28, 28), "L")
    exact.save(images / "train" / "cat" / "0.png")
    assert np.array_equal(image_folder.read(str(images)).train_images[0].numpy(), np.asarray(exact))


def test_the_digest_follows_contents_and_names_and_not_the_place(images, tmp_path_factory):
    first = image_folder.digest(str(images))
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    images.rename(elsewhere)
    assert image_folder.digest(str(elsewhere)) == first
    image_folder.digest.cache_clear(), image_folder.listed.cache_clear()
    picture(99).save(elsewhere / "test" / "eel" / "2.png")
    second = image_folder.digest(str(elsewhere))
    image_folder.digest.cache_clear(), image_folder.listed.cache_clear()
    (elsewhere / "train" / "dog" / "1.bmp").rename(elsewhere / "train" / "cat" / "7.bmp")
    assert len({first, second, image_folder.digest(str(elsewhere)), datasets.digest("mnist")}) == 4


def test_the_model_has_an_output_for_each_class(images, make_config):
    config = make_config("data=image_folder", f"data.path={images}")
    assert class_count(config.data) == 3
    assert class_count(make_config().data) == 10
    from regbench.models.architectures import skeleton

    for model in ("mlp", "cnn"):
        made = skeleton(make_config("data=image_folder", f"data.path={images}", f"model={model}"))
        assert made[-1].out_features == 3


def test_it_is_split_and_scaled_like_any_data_set(images, make_option):
    option = make_option("data", "image_folder", path=str(images), val_size=6, scaling="unit")
    made = load_split(option, 0, CPU, Path("unused"))
    assert (len(made.train), len(made.val), len(made.test_labels)) == (12, 6, 9)
    assert made.train_labels[made.val].bincount().tolist() == [2, 2, 2]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    assert f"no {tmp_path}/nowhere/train" in one_line(tmp_path / "nowhere")


def test_a_missing_test_folder_is_named(images):
    (images / "test").rename(images / "tset")
    assert f"no {images}/test" in one_line(images)


def test_a_class_without_images_is_named(images):
    for file in (images / "test" / "dog").iterdir():
        file.unlink()
    assert "dog" in one_line(images)


def test_folders_without_classes_are_refused(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    assert "class folder" in one_line(tmp_path)


def test_classes_of_one_part_alone_are_named(images):
    (images / "test" / "eel").rename(images / "test" / "eels")
    assert "eel, eels in one only" in one_line(images)


def test_one_class_is_too_few(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "cat").mkdir(parents=True)
        picture(0).save(tmp_path / part / "cat" / "0.png")
    assert "2 classes or more: only cat" in one_line(tmp_path)


def test_a_damaged_image_is_named(images):
    (images / "train" / "dog" / "2.png").write_bytes(b"no image")
    assert f"{images}/train/dog/2.png cannot be read as an image" in one_line(images)


@pytest.mark.slow
def test_it_trains_from_the_command_line(images, train):
    words = ["data=image_folder", f"data.path={images}", "model.hidden=[8]", "epochs=1", "batch_size=6"]
    ended = train(*words, "runtime.threads=1")
    assert ended.code == 0, ended.err
    assert "18 images to train, 0 to validate, 9 to test" in ended.out
    assert "already trained" in train(*words, "runtime.threads=1").out
    missing = train("data=image_folder", "data.path=nowhere")
    assert missing.code == 2
    assert missing.err.startswith("error: data.path=nowhere: ") and missing.err.count("\n") == 1


def test_an_option_without_a_path_is_read_by_name_alone():
    assert class_count(Option("mnist", {})) == 10
