import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from regbench.config.location import config_dir
from regbench.config.registry import Registry
from regbench.config.run_config import RunConfig
from regbench.experiment.checks import registries
from techniques_page import VALUES, explained, page, table

ROOT = Path(__file__).parents[2]
REGISTRIES = registries()
OPTIONS = [(axis, name) for axis, registry in REGISTRIES.items() for name in registry]


@pytest.fixture(scope="module")
def made() -> str:
    return page(config_dir())


def entry(text, title):
    """What follows a heading until the next one."""
    return text.partition(f"### {title}\n")[2].partition("\n#")[0]


def test_the_page_is_current(made):
    """If this fails: scripts/techniques_page > docs/techniques.md."""
    assert (ROOT / "docs/techniques.md").read_text("utf-8") == made


@pytest.mark.parametrize(("axis", "name"), OPTIONS)
def test_every_option_is_there_with_all_its_arguments(made, axis, name):
    text = entry(made, f"{axis}={name}")
    assert len(text.strip()) > 10
    fields = REGISTRIES[axis].schema(name).model_fields
    assert re.findall(r"^\| `(?:\w+\.)?(\w+)`", text, re.MULTILINE) != [] or not fields
    assert set(re.findall(rf"^\| `{axis}\.(\w+)` \|", text, re.MULTILINE)) == set(fields)
    assert f"[{name}](#{axis}{name})" in made


@pytest.mark.parametrize(("axis", "name"), OPTIONS)
def test_when_to_use_an_option_is_said_once_and_every_argument_means_something(made, axis, name):
    text = entry(made, f"{axis}={name}")
    assert text.count("**When**: Use ") == 1
    assert "|  |" not in text
    assert not re.search(r"\| or ", text)


@pytest.mark.parametrize("keys", VALUES, ids=" ".join)
def test_values_beside_the_axes_are_there(made, keys):
    text = entry(made, ", ".join(keys))
    assert text.count("**When**: Use ") == 1
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(keys)


def test_every_technique_that_is_a_value_is_explained():
    others = {"epochs", "batch_size", "drop_last", "precision", "seed", "force", "runtime"}
    assert {key for keys in VALUES for key in keys} == RunConfig.model_fields.keys() - REGISTRIES.keys() - others


def test_every_source_in_brackets_is_listed(made):
    cited = set(re.findall(r"\[([A-Z][\w& ]* \d{4})\b[^\]]*\]", made))
    listed = re.findall(r"^- \*\*(.+?)\*\*: ", (ROOT / "docs/sources.md").read_text("utf-8"), re.MULTILINE)
    assert len(cited) > 20
    assert cited <= set(listed)
    assert listed == sorted(listed)


def test_an_argument_s_row_has_its_default_range_and_meaning(made):
    row = "| `norm.momentum` | `0.1` | a number in [0, 1] | weight of the newest batch in the running statistics |"
    assert row in entry(made, "norm=batch").splitlines()
    assert "| `regularizer.on` | `weights` | weights or all |" in entry(made, "regularizer=l2")
    assert "| `dropout_conv` | `null` | null or a number in [0, 1) |" in entry(made, "dropout, dropout_conv")


def test_what_is_for_programmers_stays_in_the_code():
    def technique():
        """First line [Somebody 2000].

        More of it.

        Use it
        often.

        Raises:
            UserError: never.
        """

    assert explained(technique) == "First line [Somebody 2000].\n\nMore of it.\n\n**When**: Use it\noften.\n"
    technique.__doc__ = "One line.\n\nReturns:\n    Nothing.\n"
    assert explained(technique) == "One line.\n"
    technique.__doc__ = "One line.\n\nUse it.\n\nA detail.\n"
    assert explained(technique) == "One line.\n\n**When**: Use it.\n"


def test_a_bar_does_not_break_a_table():
    registry: Registry = Registry("axis")

    @registry.register
    def option(*, value: float) -> None:
        """Nothing."""

    assert table(registry.schema("option"), "name: option\nvalue: 1 # |x|\n", "axis.").splitlines()[-1] == (
        r"| `axis.value` | `1` | a number | \|x\| |"
    )


@pytest.mark.slow
def test_the_script_trains_every_option_or_shows_the_line_that_refuses_it(tmp_path):
    words = (
        "--axis",
        "norm",
        "--model",
        "mlp",
        "data.train_size=100",
        "data.val_size=0",
        "model.hidden=[64]",
        "runtime.threads=1",
    )
    script = [sys.executable, str(ROOT / "scripts/catalogue.py"), *words]
    ended = subprocess.run(script, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, timeout=300)
    assert ended.returncode == 0, ended.stderr
    cells = dict(re.findall(r"^\| `norm=(\w+)` \| ([\w.]+) \|$", ended.stdout, re.MULTILINE))
    assert set(cells) == set(REGISTRIES["norm"])
    assert {name for name, cell in cells.items() if cell == "refused"} == {"instance"}
    assert all(5 < float(cell) < 100 for cell in cells.values() if cell != "refused")
    assert ended.stdout.splitlines()[-1].startswith("- `model=mlp norm=instance` error: norm=instance: needs spatial")
    assert list(tmp_path.iterdir()) == []


def test_the_page_of_its_results_has_every_option_and_no_failure():
    """If this fails: scripts/catalogue runtime.threads=1 runtime.cache=cache > docs/catalogue.md."""
    text = (ROOT / "docs/catalogue.md").read_text("utf-8")
    head = runpy.run_path(str(ROOT / "scripts/catalogue.py"))["HEAD"]
    assert text.startswith(head.format(overrides=" runtime.threads=1 runtime.cache=cache"))
    rows = dict(re.findall(r"^\| `(\w+=\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert {f"{axis}={name}" for axis, name in OPTIONS if axis != "model"} <= set(rows)
    for words, cells in rows.items():
        for model, cell in zip(("mlp", "cnn"), cells.split(" | "), strict=True):
            said = re.search(rf"^- `model={model} {words}` error: .{{20}}", text, re.MULTILINE)
            assert said if cell == "refused" else 0 < float(cell) <= 100
