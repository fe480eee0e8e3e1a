import gzip
import hashlib
import re
import socket
import threading
import time
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from regbench.config.location import PACKAGE
from regbench.config.registry import Option
from regbench.data import datasets, idx
from regbench.data.datasets import DATASETS
from regbench.data.split import Split, load_split, moments, order, prepare, stratified_order
from regbench.errors import UserError
from regbench.images import Images

CONF = Path(__file__).parents[2] / "conf" / "data"
CPU = torch.device("cpu")
PUBLISHED_SHA256 = {  # of the unpacked files, as given in many places
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def synthetic(train: int = 97, test: int = 11, classes: int = 4) -> Images:
    """Small random images; the classes are of different sizes."""
    rng = torch.Generator().manual_seed(0)

    def images(n: int) -> torch.Tensor:
        return torch.randint(0, 256, (n, 28, 28), generator=rng, dtype=torch.uint8)

    def labels(n: int) -> torch.Tensor:
        return (torch.rand(n, generator=rng).square() * classes).long()

    return Images(images(train), labels(train), images(test), labels(test))


SMALL = synthetic()


def split(images: Images = SMALL, seed: int = 0, **changes: object) -> Split:
    defaults = {"val_size": 20, "train_size": None, "scaling": "standard", "mean": 0.1307, "std": 0.3081}
    defaults |= {"label_noise": 0.0}
    return prepare(images, seed, **(defaults | changes))  # type: ignore[arg-type]


def pack(array: torch.Tensor) -> bytes:
    """The gzipped idx file of a uint8 tensor, written by the format's description."""
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + shape + array.numpy().tobytes(), mtime=0)


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


def test_mnist_mean_and_std_are_the_usual_ones(mnist):
    pixels = mnist.train_images.numpy()
    mean = pixels.mean(dtype=np.float64) / 255
    std = np.sqrt(np.square(pixels, dtype=np.uint16).mean(dtype=np.float64) / 255**2 - mean**2)
    assert (mean, std) == pytest.approx((0.1307, 0.3081), abs=5e-5)
    assert moments(mnist.train_images) == pytest.approx((mean, std))


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
    monkeypatch.setattr(datasets.resources, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match=rf"data=mnist: .*{file} is missing or damaged: install regbench again"):
        datasets.embedded(file)


# idx files


@settings(deadline=None)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_decode_gives_back_what_was_packed(shape, seed):
    rng = torch.Generator().manual_seed(seed)
    array = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    decoded = idx.decode(pack(array), "file", len(shape))
    assert decoded.dtype == torch.uint8
    assert torch.equal(decoded, array)


def test_decode_gives_torch_memory_that_may_be_written():
    torch.set_warn_always(True)  # torch warns of read-only memory, but only once per process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            idx.decode(pack(torch.zeros(3, dtype=torch.uint8)), "file", 1)
    finally:
        torch.set_warn_always(False)


RAW = gzip.decompress(pack(torch.arange(6, dtype=torch.uint8).view(2, 3)))


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"", "f.gz: not a whole gzip file"),
        (b"<html>not here</html>", "f.gz: not a whole gzip file"),
        (gzip.compress(RAW, mtime=0)[:-1], "f.gz: not a whole gzip file"),
        (gzip.compress(b"", mtime=0), "f.gz: starts with nothing, an idx file like it with 00000802"),
        (
            gzip.compress(b"\x00\x00\x0d" + RAW[3:], mtime=0),
            "f.gz: starts with 00000d02, an idx file like it with 00000802",
        ),
        (pack(torch.zeros(6, dtype=torch.uint8)), "f.gz: starts with 00000801"),
        (gzip.compress(RAW[:6], mtime=0), "f.gz: 6 bytes unpacked, must be"),
        (gzip.compress(RAW[:-1], mtime=0), r"f.gz: 17 bytes unpacked, must be 18 for shape \[2, 3\]"),
        (gzip.compress(RAW + b"x", mtime=0), r"f.gz: 19 bytes unpacked, must be 18 for shape \[2, 3\]"),
    ],
)
def test_decode_refuses_what_is_no_such_file(packed, message):
    with pytest.raises(UserError, match=message) as refusal:
        idx.decode(packed, "f.gz", 2)
    assert "\n" not in str(refusal.value)


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


# options


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_yaml_is_complete_and_short(name):
    path = CONF / f"{name}.yaml"
    option = DATASETS.check(OmegaConf.to_container(OmegaConf.load(path)))  # type: ignore[arg-type]
    lines = path.read_text().splitlines()
    assert option.name == name
    assert lines[0].startswith(f"name: {name}")
    assert len(lines) <= 8
    assert (option.args["train_size"], option.args["scaling"], option.args["label_noise"]) == (None, "standard", 0)
    assert option.args["val_size"] == (0 if name == "image_folder" else 5000)


def test_yaml_names_are_the_registry():
    assert {path.stem for path in CONF.iterdir()} == set(DATASETS)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("train_size", 0, "null or an integer above 0"),
        ("val_size", -1, "an integer of at least 0"),
        ("val_size", "some", "an integer of at least 0"),
        ("scaling", "unti", "one of none, unit, standard. Did you mean 'unit'?"),
        ("std", 0.0, "null or a number above 0"),
        ("mean", "x", "null or a number"),
        ("label_noise", 1.1, "a number in [0, 1]"),
    ],
)
def test_wrong_value_is_one_line(key, value, allowed):
    values = {"name": "mnist", "val_size": 1, "train_size": None, "scaling": "none", "mean": 0.1, "std": 1.0}
    values |= {"label_noise": 0.0}
    with pytest.raises(UserError, match=rf"^data\.{key}={value}: must be {re.escape(allowed)}$"):
        DATASETS.check(values | {key: value})


# once per process


def test_a_sweep_reads_the_data_once(monkeypatch, empty_caches):
    read = []
    monkeypatch.setitem(DATASETS, "mnist", lambda cache: read.append(cache) or SMALL)
    option = Option("mnist", {"val_size": 20, "train_size": None, "scaling": "unit", "mean": None, "std": None})
    option.args["label_noise"] = 0.0
    splits = [load_split(option, seed, CPU, Path("here")) for seed in range(3)]
    assert len({made.train_images.data_ptr() for made in splits}) == 1
    assert datasets.load_on(torch.device("meta"), "mnist", Path("here")).train_images.device.type == "meta"
    assert read == [Path("here")]
    load_split(option, 0, CPU, Path("there"))
    assert read == [Path("here"), Path("there")]


def test_cache_dir_is_the_setting_or_the_system_s(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert datasets.cache_dir("~/data") == tmp_path / "data"
    assert datasets.cache_dir("relative") == Path("relative")
    assert datasets.cache_dir(None).name == "regbench"


# downloads, from this machine to itself

DOWNLOADS = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
FILES = {name: pack(tensor.to(torch.uint8)) for name, tensor in zip(idx.FILES, vars(SMALL).values(), strict=True)}


class Mirror:
    """A web server on this machine with the files of a small data set, and torchvision's class pointed to it."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from torchvision import datasets

        self.name, self.folder, self.requests = name, folder, []
        self.monkeypatch, self.dataset = monkeypatch, getattr(datasets, DOWNLOADS[name])
        folder.mkdir()
        for file, content in FILES.items():
            (folder / file).write_bytes(content)
        requests = self.requests

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code="-", size="-"):
                requests.append(self.path)

            def log_error(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(self.dataset, "resources", [(f, hashlib.md5(c).hexdigest()) for f, c in FILES.items()])
        self.use(self.address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def use(self, *mirrors: str) -> None:
        self.monkeypatch.setattr(self.dataset, "mirrors", list(mirrors))

    def kept(self, cache: Path) -> Path:
        return cache / DOWNLOADS[self.name] / "raw"

    def fetch(self, cache: Path) -> Images:
        images = DATASETS[self.name](cache)
        for got, expected in zip(vars(images).values(), vars(SMALL).values(), strict=True):
            assert torch.equal(got, expected)
        return images


@pytest.fixture(params=sorted(DOWNLOADS))
def mirror(request, monkeypatch, tmp_path):
    made = Mirror(request.param, tmp_path / "mirror", monkeypatch)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_download_once(mirror, tmp_path, capfd):
    mirror.fetch(tmp_path)
    asked = len(mirror.requests)
    assert {path[1:] for path in mirror.requests} == set(FILES)
    mirror.fetch(tmp_path)
    assert len(mirror.requests) == asked
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"downloading {mirror.name} to {mirror.kept(tmp_path)}\n")
    assert {path.name for path in mirror.kept(tmp_path).iterdir()} - {".lock"} == set(FILES)
    assert socket.getdefaulttimeout() is None


def test_only_what_is_damaged_is_downloaded_again(mirror, tmp_path):
    mirror.fetch(tmp_path)
    mirror.requests.clear()
    damaged = mirror.kept(tmp_path) / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    mirror.fetch(tmp_path)
    assert set(mirror.requests) == {"/t10k-images-idx3-ubyte.gz"}


def test_the_next_mirror_serves_when_one_fails(mirror, tmp_path):
    mirror.use("file:///nonexistent/", mirror.address + "missing/", mirror.address)
    mirror.fetch(tmp_path)


def test_offline_says_how_to_do_without_and_then_works(mirror, tmp_path):
    mirror.use("file:///nonexistent/")
    with pytest.raises(UserError) as refusal:
        DATASETS[mirror.name](tmp_path)
    message = str(refusal.value)
    folder = mirror.kept(tmp_path)
    assert "\n" not in message
    assert message.startswith(f"data={mirror.name}: cannot download (")
    assert "No such file or directory" in message
    assert message.endswith(f"put {', '.join(FILES)} from file:///nonexistent/ into {folder}")
    assert [path.name for path in folder.iterdir() if path.name != ".lock"] == []
    for file, content in FILES.items():
        (folder / file).write_bytes(content)
    mirror.fetch(tmp_path)


def test_a_wrong_file_on_the_server_is_refused_and_harms_no_later_try(mirror, tmp_path):
    served = mirror.folder / "train-labels-idx1-ubyte.gz"
    served.write_bytes(b"<html>please log in</html>")
    with pytest.raises(UserError, match=r"cannot download .*corrupted"):
        DATASETS[mirror.name](tmp_path)
    served.write_bytes(FILES[served.name])
    mirror.fetch(tmp_path)


def test_a_cache_that_cannot_be_made_is_one_line(mirror, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot download \(.*Not a directory"):
        DATASETS[mirror.name](tmp_path / "file")


def test_one_process_downloads_at_a_time(mirror, tmp_path):
    folder = mirror.kept(tmp_path)
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        second = threading.Thread(target=mirror.fetch, args=(tmp_path,))
        second.start()
        time.sleep(0.2)
        assert second.is_alive()
        assert mirror.requests == []
    second.join(10)
    assert {path[1:] for path in mirror.requests} == set(FILES)


def test_digest_needs_no_file_and_follows_the_content(mirror, tmp_path):
    known = "".join(hashlib.md5(FILES[file]).hexdigest() for file in idx.FILES)
    assert datasets.digest(mirror.name) == hashlib.sha256(known.encode()).hexdigest()
    assert mirror.requests == [] and not mirror.kept(tmp_path).exists()


def test_digests_tell_the_data_sets_apart():
    known = "".join(hashlib.sha256(datasets.embedded(file)).hexdigest() for file in idx.FILES)
    assert datasets.digest("mnist") == hashlib.sha256(known.encode()).hexdigest()
    assert len({datasets.digest(name) for name in ("mnist", *DOWNLOADS)}) == 3
