"""Which test images were classified correctly: the file, and what it says about the noise of a test set."""

import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

import regbench
from golden.records import NORMS, bits_of, write_images
from regbench.analysis import inference
from regbench.analysis.image_noise import noises
from regbench.analysis.summary import compare
from regbench.analysis.table import Against
from regbench.errors import UserError
from regbench.records import correct_images, predictions
from regbench.records.files import CORRECT, PREDICTED
from regbench.records.frame import load
from regbench.records.predictions import Answers, fingerprint
from regbench.tables.cells import cells

RIGHTS = {"last": np.array([True, False, True] * 7), "best_val": np.array([False, True, True] * 7)}


def images(norm: str, seed: int, share: float, number: int = 400) -> list[bool]:
    """An image is hard for all: a run's own luck is added to its ease."""
    ease = np.random.default_rng(9).random(number)
    return (ease + np.random.default_rng([seed, len(norm)]).normal(0, 0.1, number) < share).tolist()


def sweep(folder: Path, shares: dict[str, float], seeds: int, **settings: Any) -> list[Path]:
    return [
        write_images(folder, dict.fromkeys(RIGHTS, images(norm, seed, share)), norm=NORMS[norm], seed=seed, **settings)
        for norm, share in shares.items()
        for seed in range(seeds)
    ]


def table(folder: Path, **settings: Any) -> Any:
    return regbench.compare(regbench.load(folder), by="norm", test_noise=True, **settings).set_index("norm")


# The file


def handmade(images: str, dtype: str) -> bytes:
    """A file of safetensors that the program would never write."""
    tensors = {
        name: {"dtype": dtype, "shape": [3], "data_offsets": [3 * i, 3 * i + 3]} for i, name in enumerate(RIGHTS)
    }
    header = json.dumps({"__metadata__": {"images": images}, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(6)


def test_bits_come_back_and_take_an_eighth_of_a_byte(tmp_path: Path) -> None:
    (tmp_path / CORRECT).write_bytes(bits_of(RIGHTS, "abc"))
    found = correct_images.read(tmp_path)
    assert found and (found.images, found.test_set) == (21, "abc")
    assert all(np.array_equal(found.of(name), own) for name, own in RIGHTS.items())
    assert len(bits_of(dict.fromkeys(RIGHTS, np.ones(10_000, bool)), "abc")) < 2 * 1250 + 250
    assert bits_of(RIGHTS, "abc") == bits_of(RIGHTS, "abc")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: b"",
        lambda whole: whole.replace(b"21 abc", b"25 abc"),
        lambda whole: whole.replace(b"21 abc", b"-1 abc"),
        lambda whole: handmade("9" * 18 + " abc", "U8"),
        lambda whole: handmade("24 abc", "F8_E4M3"),
        lambda whole: whole.replace(b'"last"', b'"lost"'),
        lambda whole: whole.replace(b'"U8"', b'"I8"'),
        lambda whole: b"\x80\x04cos\nsystem\n(S'touch x'\ntR.",
    ],
)
def test_a_damaged_file_is_none(damage: Any, tmp_path: Path) -> None:
    (tmp_path / CORRECT).write_bytes(damage(bits_of(RIGHTS, "abc")))
    assert correct_images.read(tmp_path) is None
    assert correct_images.read(tmp_path / "nowhere") is None
    (tmp_path / CORRECT).write_bytes(handmade("24 abc", "U8"))
    assert correct_images.read(tmp_path)


CLASSES = {"last": np.array([3, 1, 9] * 7), "best_val": np.array([3, 2, 9] * 7)}
ANSWERS = Answers("abc", np.array([3, 2, 0] * 7))


def test_classes_come_back_and_take_a_byte_each(tmp_path: Path) -> None:
    (tmp_path / PREDICTED).write_bytes(whole := predictions.encoded(CLASSES, ANSWERS))
    found = predictions.read(tmp_path)
    assert found and (found.images, found.test_set) == (21, "abc")
    assert all(np.array_equal(found.classes[name], own) for name, own in CLASSES.items())
    assert np.array_equal(found.answers.labels, ANSWERS.labels)
    assert found.of("best_val").tolist() == [True, True, False] * 7
    ten_thousand = dict.fromkeys(CLASSES, np.full(10_000, 9))
    assert len(predictions.encoded(ten_thousand, Answers("abc", np.zeros(10_000, int)))) < 30_300
    assert predictions.encoded(CLASSES, ANSWERS) == whole
    many = {name: own + 300 for name, own in CLASSES.items()}
    (tmp_path / PREDICTED).write_bytes(predictions.encoded(many, ANSWERS))
    again = predictions.read(tmp_path)
    assert again and again.classes["last"].tolist() == many["last"].tolist()


def test_classes_say_more_than_the_bits_of_an_older_version(tmp_path: Path) -> None:
    (tmp_path / CORRECT).write_bytes(bits_of(RIGHTS, "abc"))
    (tmp_path / PREDICTED).write_bytes(whole := predictions.encoded(CLASSES, ANSWERS))
    both = correct_images.read(tmp_path)
    assert both and both.of("last").tolist() == [True, False, False] * 7
    for damaged in (whole[:-1], whole.replace(b'"U8"', b'"I8"'), whole.replace(b'"last"', b'"lost"')):
        (tmp_path / PREDICTED).write_bytes(damaged)
        assert predictions.read(tmp_path) is None
    older = correct_images.read(tmp_path)
    assert older and older.of("last").tolist() == RIGHTS["last"].tolist()


def test_test_sets_are_told_apart() -> None:
    pixels, labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.arange(2)
    assert fingerprint(pixels, labels) == fingerprint(pixels.copy(), labels)
    assert len({fingerprint(pixels, labels), fingerprint(pixels[::-1], labels), fingerprint(pixels, labels[::-1])}) == 3


# The interval of an accuracy


def test_the_interval_is_wilsons(tmp_path: Path) -> None:
    paths = sweep(tmp_path, {"none": 0.8}, 1)
    rights = images("none", 0, 0.8)
    row = table(tmp_path).loc["none"]
    low, high = proportion_confint(sum(rights), len(rights), method="wilson")
    assert (row["test_ci95_low"], row["test_ci95_high"]) == pytest.approx((low, high), rel=1e-10)
    assert (row["test_images"], row["test_runs"]) == (400, 1)
    (paths[0] / CORRECT).unlink()
    assert (
        "Without a record of each image, or in a row with several test sets, "
        "and so excluded from these figures: 1 of 1 run." in table(tmp_path).attrs["notes"]
    )


def test_the_interval_covers_the_accuracy_over_all_images() -> None:
    """Of several seeds it is too wide rather than too narrow: their mean varies less from image to image."""
    draw = np.random.default_rng(1)
    for seeds, at_least in ((1, 0.93), (4, 0.95)):
        ease = draw.beta(8, 1, (2_000, 300))
        rights = draw.random((seeds, *ease.shape)) < ease
        ends = [inference.of_images(own, 300) for own in rights.sum(2).mean(0).tolist()]
        covered = np.mean([low <= 8 / 9 <= high for low, high in ends])
        assert at_least <= covered
        assert seeds > 1 or covered <= 0.97


# McNemar


def test_one_seed_is_mcnemars_exact_test(tmp_path: Path) -> None:
    sweep(tmp_path, {"none": 0.8, "batch": 0.84}, 1)
    a, b = (np.array(images(norm, 0, share)) for norm, share in (("batch", 0.84), ("none", 0.8)))
    counts = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    row = table(tmp_path, baseline="norm=none").loc["batch"]
    assert row["test_p"] == pytest.approx(mcnemar(counts, exact=True).pvalue, rel=1e-10)
    interval = stats.ttest_rel(a.astype(float), b.astype(float)).confidence_interval()
    assert (row["test_diff_ci95_low"], row["test_diff_ci95_high"]) == pytest.approx(tuple(interval), rel=1e-8)
    assert row["test_diff"] == pytest.approx(row["diff"])


def test_several_seeds_are_a_cluster_to_each_image(tmp_path: Path) -> None:
    """Durkalski's statistic from counts, as it is written in the paper; for one seed it is McNemar's."""
    sweep(tmp_path, {"none": 0.8, "batch": 0.84}, 3)
    a, b = (np.array([images(n, seed, s) for seed in range(3)]) for n, s in (("batch", 0.84), ("none", 0.8)))
    gained, lost = (a & ~b).sum(0), (~a & b).sum(0)
    statistic = ((gained - lost) / 3).sum() ** 2 / (((gained - lost) / 3) ** 2).sum()
    row = table(tmp_path, baseline="norm=none").loc["batch"]
    assert row["test_p"] == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-10)
    assert (row["test_pairs"], row["test_p_adjusted"]) == (3, row["test_p"])
    one = (a[0].astype(float) - b[0]) / 2  # scaled, so that it is not taken for one pair
    plain = [[0, (a[0] & ~b[0]).sum()], [(~a[0] & b[0]).sum(), 0]]
    assert inference.mcnemar(one) == pytest.approx(mcnemar(plain, exact=False, correction=False).pvalue, rel=1e-10)


def test_false_alarms_of_the_clustered_test() -> None:
    """Networks that are equally good over all images, four seeds each, on many test sets."""
    draw = np.random.default_rng(2)
    ease = draw.beta(4, 1, (1_500, 300))
    left, right = (((draw.random((4, *ease.shape)) < ease).mean(0)) for _ in range(2))
    share = np.mean([inference.mcnemar(row) <= 0.05 for row in left - right])
    assert 0.03 <= share <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 1_500)


def test_no_difference_on_any_image_is_p_1_without_an_interval() -> None:
    assert inference.mcnemar(np.zeros(5)) == 1.0
    assert inference.over_images(np.zeros(5)) == (0.0, None)


def test_only_runs_on_the_same_images_are_compared(tmp_path: Path) -> None:
    sweep(tmp_path, {"none": 0.8}, 2)
    sweep(tmp_path, {"batch": 0.9}, 2, test_set="0ther000")
    found = table(tmp_path, baseline="norm=none")
    assert found["test_images"].tolist() == [400, 400]
    assert found["test_p"].isna().all()
    sweep(tmp_path, {"batch": 0.9}, 1, test_set="third000", dropout=0.5)
    mixed = table(tmp_path, baseline="norm=none")
    assert mixed["test_images"].isna().tolist() == [True, False]
    assert any(line.endswith("excluded from these figures: 3 of 5 runs.") for line in mixed.attrs["notes"])


def test_all_rows_are_one_family(tmp_path: Path) -> None:
    sweep(tmp_path, {"none": 0.8, "batch": 0.83, "layer": 0.81}, 3)
    found = table(tmp_path, baseline="norm=none").drop("none")
    assert found["test_p_adjusted"].tolist() == inference.adjusted(found["test_p"].tolist(), "holm")
    assert noises([[]], [None], "last", "holm") == [None]


def test_without_bits_there_is_nothing_to_say(tmp_path: Path) -> None:
    sweep(tmp_path, {"none": 0.8, "batch": 0.9}, 2)
    frame = regbench.load(tmp_path)
    moved = regbench.compare(frame.drop(columns="path"), baseline="norm=none", test_noise=True)
    assert moved[["test_images", "test_p"]].isna().all(axis=None)
    assert (
        "Without a record of each image, or in a row with several test sets, "
        "and so excluded from these figures: 4 of 4 runs." in moved.attrs["notes"]
    )
    failed = frame.assign(status="failed").drop(columns=["last.test_acc", "best_val.test_acc"])
    assert regbench.compare(failed, test_noise=True)["test_ci95_low"].isna().all()


def test_a_pivot_has_it_in_brackets(tmp_path: Path) -> None:
    sweep(tmp_path, {"none": 0.8, "batch": 0.9}, 1)
    runs = load([tmp_path])
    (plain,) = cells([compare(runs, ["seed"], columns=["norm"], test_noise=True)]).rows
    assert re.fullmatch(r"\d\d\.\d\d \[\d\d\.\d\d–\d\d\.\d\d\]", plain[1])
    against = Against(["norm=none"])
    (compared,) = cells([compare(runs, ["seed"], columns=["norm"], against=against, test_noise=True)]).rows
    assert re.fullmatch(r"\+\d+\.\d\d \[± \d\.\d\d, p (<\.001|0\.\d{3})\] \?", compared[1])
    assert compared[2] == f"{plain[2]} b"


def test_of_the_accuracy_only(tmp_path: Path) -> None:
    sweep(tmp_path, {"none": 0.8}, 1)
    with pytest.raises(UserError, match="--test-noise: works for test_acc, not for val_loss"):
        table(tmp_path, metric="val_loss")
