import gzip
import hashlib
import re
from pathlib import Path

import pytest
import torch

from regbench.config.location import PACKAGE
from regbench.data import datasets, idx, unpacked
from regbench.data.datasets import DATASETS
from regbench.data.split import load_split
from regbench.errors import UserError
from regbench.images import Images
from support import CPU, synthetic_images, yaml_values

PUBLISHED_SHA256 = {  # of the unpacked files, as given in many places
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.fixture
def empty_caches():
    for cache in (datasets.load, datasets.load_on):
        cache.cache_clear()
    yield
    for cache in (datasets.load, datasets.load_on):
        cache.cache_clear()


# MNIST itself


@pytest.fixture(scope="module")
def mnist() -> Images:
    return DATASETS["mnist"](Path("unused"))


def test_mnist_has_the_official_images(mnist):
    assert mnist.train_images.shape == (60_000, 28, 28)
    assert mnist.test_images.shape == (10_000, 28, 28)
    assert mnist.train_images.dtype == mnist.test_images.dtype == torch.uint8
    assert mnist.train_labels.dtype == mnist.test_labels.dtype == torch.int64
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.test_labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_mnist_class_counts_are_those_of_the_label_files(mnist):
    for labels, name in ((mnist.train_labels, "train"), (mnist.test_labels, "t10k")):
        content = gzip.decompress(datasets.embedded(f"{name}-labels-idx1-ubyte.gz"))[8:]
        assert labels.bincount().tolist() == [content.count(digit) for digit in range(10)]
    assert mnist.test_labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize("file", idx.FILES)
def test_embedded_file_is_the_published_one(file):
    assert hashlib.sha256(gzip.decompress(datasets.embedded(file))).hexdigest() == PUBLISHED_SHA256[file]


def test_readme_beside_the_files_lists_their_digests():
    readme = (PACKAGE / "mnist" / "README.md").read_text("utf-8")
    for file, digest in datasets.MNIST_SHA256.items():
        assert re.search(rf"{file} \| `{digest}`", readme)
        assert PUBLISHED_SHA256[file] in readme


@pytest.mark.parametrize("damage", ["flipped", "short", "missing"])
def test_damaged_package_is_one_line(monkeypatch, tmp_path, damage):
    file = "t10k-labels-idx1-ubyte.gz"
    content = bytearray(datasets.embedded(file))
    content[1000] ^= damage == "flipped"
    (tmp_path / "mnist").mkdir()
    if damage != "missing":
        (tmp_path / "mnist" / file).write_bytes(content[: -1 if damage == "short" else None])
    monkeypatch.setattr(unpacked.resources, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match=rf"data=mnist: .*{file} is missing or damaged: install regbench again"):
        datasets.embedded(file)


def test_digests_tell_the_data_sets_apart():
    known = "".join(hashlib.sha256(datasets.embedded(file)).hexdigest() for file in idx.FILES)
    assert datasets.digest("mnist") == hashlib.sha256(known.encode()).hexdigest()
    assert len({datasets.digest(name) for name in ("mnist", "fashion_mnist", "kmnist")}) == 3


# options


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_by_default_every_image_counts_and_some_validate(make_option, name):
    args = make_option("data", name).args
    assert (args["train_size"], args["scaling"], args["label_noise"]) == (None, "standard", 0)
    assert args["val_size"] == (0 if name == "image_folder" else 5000)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("train_size", 0, "null or an integer above 0"),
        ("val_size", -1, "an integer of at least 0"),
        ("val_size", "some", "an integer of at least 0"),
        ("scaling", "unti", "one of none, unit, standard. Did you mean 'unit'?"),
        ("std", 0, "null or a number above 0"),
        ("mean", "x", "null or a number"),
        ("label_noise", 1.1, "a number in [0, 1]"),
    ],
)
def test_wrong_value_is_one_line(key, value, allowed):
    with pytest.raises(UserError, match=rf"^data\.{key}={value}: must be {re.escape(allowed)}$"):
        DATASETS.check(yaml_values("data", "mnist") | {key: value})


# once per process


def test_a_sweep_reads_the_data_once(monkeypatch, empty_caches, make_option):
    read = []
    monkeypatch.setitem(DATASETS, "mnist", lambda cache: read.append(cache) or synthetic_images())
    option = make_option("data", "mnist", val_size=20)
    splits = [load_split(option, seed, CPU, Path("here")) for seed in range(3)]
    assert len({made.train_images.data_ptr() for made in splits}) == 1
    assert datasets.load_on(torch.device("meta"), "mnist", Path("here")).train_images.device.type == "meta"
    assert read == [Path("here")]
    load_split(option, 0, CPU, Path("there"))
    assert read == [Path("here"), Path("there")]
