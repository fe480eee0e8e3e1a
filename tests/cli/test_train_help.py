from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from regbench.cli.train_help import WIDTH, short_help, whole_help
from regbench.config.location import config_dir
from regbench.config.run_config import AXES, RunConfig, Runtime

LINES = 65


def text_of(*overrides: str, folder: Path | None = None) -> str:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return whole_help(folder or config_dir(), _root_=compose("config", list(overrides)))


def short_of(*overrides: str) -> str:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return short_help(config_dir(), _root_=compose("config", list(overrides)))


@pytest.fixture(scope="module")
def text() -> str:
    return text_of()


def words_of(text: str, name: str) -> list[str]:
    """The entry of an axis or value as words, its continuation lines included."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.split()[:1] == [name])
    end = start + 1
    while lines[end].startswith(" " * 19):
        end += 1
    return " ".join(lines[start:end]).replace(",", " ").split()[1:]


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_is_there_with_all_its_options(text, axis):
    options = {path.stem for path in (config_dir() / axis).glob("*.yaml")}
    assert {word.removeprefix("*") for word in words_of(text, axis)} == options


@pytest.mark.parametrize("key", [key for key in RunConfig.model_fields if key not in (*AXES, "runtime")])
def test_every_value_is_there_with_its_meaning(text, key):
    entry = " ".join(words_of(text, key))
    assert str(RunConfig.model_fields[key].description).replace(",", "") in entry


@pytest.mark.parametrize("key", Runtime.model_fields)
def test_every_runtime_value_is_there(text, key):
    assert len(words_of(text, f"runtime.{key}")) > 3


@pytest.mark.parametrize(
    ("key", "start", "allowed"),
    [
        ("dropout", "0", "a number in [0 1)"),
        ("epochs", "5", "an integer of at least 1"),
        ("seed", "0", "an integer of at least 0"),
        ("clip_norm", "null", "a number above 0"),
        ("force", "false", "true or false"),
        ("runtime.threads", "auto", "auto or an integer in [1 1024]"),
    ],
)
def test_a_value_has_its_default_and_range(text, key, start, allowed):
    entry = " ".join(words_of(text, key))
    assert entry.startswith(f"{start} ")
    assert entry.endswith(f"; {allowed}")


def test_it_is_not_longer_than_needed(text):
    lines = text.splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH == 80
    assert text.isascii()


FOLDER = "runtime.study=" + "a-long-name-of-a-study-" * 4
CHOICES = [
    [],
    ["optimizer=sparse_adam", "init=truncated_normal", "augment=random_resized_crop", f"seed={10**70}", FOLDER],
]


@pytest.mark.parametrize("overrides", CHOICES, ids=["default", "long"])
def test_the_short_help_fits_one_screen_and_leaves_a_line_for_the_prompt(overrides):
    text = short_of(*overrides)
    lines = text.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= WIDTH
    assert text.isascii()
    assert "--help-all" in text and "regbench options AXIS" in text
    starts = [line.split()[:1] for line in lines]
    assert all([name] in starts for name in (*AXES, "dropout", "epochs", "batch_size", "seed", "study"))


def test_the_short_help_names_what_is_chosen_and_counts_what_does_not_fit():
    text = short_of("optimizer=sgd")
    line = next(line for line in text.splitlines() if line.startswith("  optimizer "))
    named, more = line.removesuffix(" more").split(" and ")
    names = named.replace(",", "").split()[1:]
    assert names[0] == "*sgd"
    assert len(names) + int(more) == len(list((config_dir() / "optimizer").glob("*.yaml")))


def test_what_is_chosen_is_marked():
    text = text_of("norm=batch", "optimizer=sgd", "seed=7")
    assert "*batch" in words_of(text, "norm")
    assert "*sgd" in words_of(text, "optimizer")
    assert words_of(text, "seed")[0] == "7"
    assert text.count("*") == text_of().count("*") == len(AXES) + 1  # and once where the star is explained


def test_none_comes_first(text):
    assert [word.removeprefix("*") for word in words_of(text, "norm")] == [
        "none",
        "batch",
        "group",
        "instance",
        "layer",
        "rms",
    ]


def test_a_new_option_appears_by_itself(tmp_path):
    for axis in AXES:
        (tmp_path / axis).mkdir()
        (tmp_path / axis / f"new_{axis}.yaml").write_text(f"name: new_{axis}\n")
    text = text_of(folder=tmp_path)
    assert [axis for axis in AXES if words_of(text, axis) == [f"new_{axis}"]] == list(AXES)


def test_long_values_stay_in_80_columns():
    folder = "/a/rather/long/way/to/the/folder/in/which/the/runs/of/this/project/are/kept/for/good"
    text = text_of(f"runtime.dir={folder}")
    assert max(map(len, text.splitlines())) <= WIDTH
