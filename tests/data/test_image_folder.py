"""A folder of class folders as a data set."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torchvision.datasets import ImageFolder
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


def test_pixels_that_are_read_in_another_way_than_once_are_other_data(images):
    """Files alone do not say it; plain ones keep the digest of the first version."""

    def of_files() -> str:
        files = [(path, path.relative_to(images).as_posix()) for path in images.rglob("*") if path.suffix != ".txt"]
        ordered = sorted(
            (file for file in files if file[0].is_file()), key=lambda file: (file[1][:3] != "tra", file[1])
        )
        lines = [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path, name in ordered]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    assert image_folder.digest(str(images)) == of_files()
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    first = images / "train" / "cat" / "0.png"
    for mode, settings in (("RGBA", {}), ("I;16", {}), ("L", {"exif": turned})):
        image = Image.new("I;16", (30, 30)) if mode == "I;16" else picture(3).convert(mode)
        image.save(first, **settings)
        image_folder.digest.cache_clear(), image_folder.listed.cache_clear()
        assert image_folder.digest(str(images)) != of_files(), mode


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


def test_it_says_in_which_part_a_class_has_no_images(images):
    for file in (images / "train" / "dog").iterdir():
        file.unlink()
    assert "no images in train/dog: must hold .jpg, .jpeg, .png, " in one_line(images)


def test_files_are_those_of_torchvision_in_its_order(images):
    for name in ("a/deep/Z.JPG", "a/B.png", "b.TIFF", "a.b/x.webp"):
        file = images / "train" / "cat" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (images / "train" / "link").symlink_to(images / "train" / "dog")
    (images / "test" / "link").symlink_to(images / "test" / "dog")
    for name, part in image_folder.listed(str(images)).items():
        theirs = ImageFolder(str(images / name))
        assert (part.classes, part.files) == (theirs.classes, theirs.samples)


@pytest.mark.parametrize(
    "name",
    [
        "train/.ipynb_checkpoints/0-checkpoint.png",
        "train/cat/.ipynb_checkpoints/0-checkpoint.png",
        "train/cat/deep/.git/0.png",
        "train/cat/._0.png",
        "test/cat/.hidden.png",
        "test/.DS_Store",
        "train/__MACOSX/cat/0.png",
        "train/cat/@eaDir/0.jpg/thumbnail.jpg",
        "train/cat/Thumbs.db",
        "train/readme.txt",
    ],
)
def test_what_systems_leave_is_skipped(images, name):
    before = image_folder.digest(str(images))
    image_folder.listed.cache_clear(), image_folder.digest.cache_clear()
    (images / name).parent.mkdir(parents=True, exist_ok=True)
    (images / name).write_bytes(b"no image")
    assert image_folder.digest(str(images)) == before
    assert class_count(Option("image_folder", {"path": str(images)})) == 3


def test_a_folder_that_hides_itself_is_read(images):
    hidden = images / ".images"
    hidden.mkdir()
    for part in ("train", "test"):
        (images / part).rename(hidden / part)
    assert len(image_folder.read(str(hidden)).train_labels) == 18


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_that_are_all_the_same_are_refused(images, part):
    for file in (images / part).rglob("*.???"):
        Image.new("RGB", (28, 28), "black").save(file, "png")
    assert f"images in {part} are the same picture" in one_line(images)


def test_names_that_are_no_utf_8_are_read_hashed_and_shown(images):
    odd = os.fsdecode(b"M\xfcller")
    for part in ("train", "test"):
        (images / part / "cat").rename(images / part / odd)
    picture(1).save(images / "train" / odd / f"{odd}.png", "png")
    read = image_folder.read(str(images))
    assert read.train_labels.tolist() == [0] * 7 + [1] * 6 + [2] * 6
    first = image_folder.digest(str(images))
    image_folder.digest.cache_clear(), image_folder.listed.cache_clear()
    (images / "train" / odd / f"{odd}.png").rename(images / "train" / odd / "plain.png")
    assert image_folder.digest(str(images)) != first
    image_folder.listed.cache_clear()
    (images / "train" / odd / f"{odd}.bmp").write_bytes(b"no image")
    assert f"{images}/train/M\\xfcller/M\\xfcller.bmp cannot be read" in one_line(images)
    (images / "test" / odd).rename(images / "test" / "cat")
    image_folder.listed.cache_clear()
    assert "M\\xfcller, cat in one only" in one_line(images)


def test_the_home_folder_has_a_short_name(images, monkeypatch):
    monkeypatch.setenv("HOME", str(images.parent))
    assert len(image_folder.read(f"~/{images.name}").train_labels) == 18
    assert (
        one_line("~nobody-of-this-name/x")
        == "data.path=~nobody-of-this-name/x: no home folder for ~nobody-of-this-name"
    )


@pytest.mark.parametrize("name", ["train", "train/dog", "test/eel"])
def test_a_folder_that_cannot_be_read_is_named(images, monkeypatch, name):
    scandir = os.scandir

    def refuse(folder):
        if Path(folder) == images / name:
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert one_line(images) == f"data.path={images}: {images}/{name}: Permission denied"


def test_a_file_that_vanishes_is_named(images):
    image_folder.listed(str(images))
    (images / "train/dog/0.png").unlink()
    with pytest.raises(UserError, match=r"train/dog/0\.png: No such file"):
        image_folder.digest(str(images))


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


ODD = {  # as a file of the class cat
    "a program": (
        lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n"),
        "no format that is known",
    ),
    "a bomb": (lambda path: Image.new("1", (14_000, 14_000)).save(path), "more than 178,956,970 pixels"),
    "a pipe": (os.mkfifo, "is no regular file"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "No such file"),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_image_is_one_line_and_starts_no_program(odd, images, monkeypatch):
    make, said = ODD[odd]
    make(images / "train" / "cat" / "9.png")
    monkeypatch.setattr("subprocess.check_call", None)  # by which Pillow would start Ghostscript
    assert said in one_line(images)
