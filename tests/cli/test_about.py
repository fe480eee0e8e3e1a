"""The command about regbench itself."""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from support import Ended

Invoke = Callable[..., Ended]


@pytest.fixture
def known(invoke: Invoke) -> dict[str, dict[str, object]]:
    return json.loads(invoke("info", "--format", "json").out)


@pytest.mark.slow
def test_info_says_what_a_report_of_a_fault_needs(
    known: dict[str, dict[str, object]], invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known["schema"] == "regbench.info/1"
    assert known["versions"]["torch"] == torch.__version__
    assert known["machine"]["dense_kernel"] in ("torch", "oneDNN")
    assert known["data"]["mnist"] == {
        "sha256": "8b4aac1638c992e4cd83a065746a676450d55bae4bcdd3d7890a0f8499f1e1dc",
        "here": True,
    }
    assert known["extras"]["optuna"]["optuna"] == version("optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGBENCH_CONFIG_PATH", str(tmp_path))
    text = invoke("info").out
    assert f"runs         {tmp_path / 'runs'}" in text
    assert f"own_configs  {tmp_path}" in text
    assert f"torch        {torch.__version__}" in text


def test_info_says_which_extras_are_missing(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from regbench.experiment import installation

    monkeypatch.setattr(
        installation, "requires", lambda _: ["nosuch>=1; extra == 'tracker'", "click>=8", "x; extra == 'dev'"]
    )
    assert json.loads(invoke("info", "--format", "json").out)["extras"] == {"tracker": {"nosuch": None}}


def test_options_of_an_axis_have_meaning_arguments_defaults_and_ranges(invoke: Invoke) -> None:
    lines = invoke("options", "clip").err
    assert lines.startswith("error: clip: no axis 'clip'")
    assert "Did you mean 'norm'?" in invoke("options", "nrm").err
    text = invoke("options", "optimizer").out
    assert (
        "\noptimizer=sgd  " in text and "    optimizer.momentum=0" in text and "    optimizer.nesterov=false " in text
    )
    listed = json.loads(invoke("options", "norm", "--format", "json").out)
    batch = next(option for option in listed["options"] if option["name"] == "batch")
    assert listed["schema"] == "regbench.options/1"
    assert {"key": "norm.eps", "default": 1e-5, "allowed": "a number above 0"} in batch["arguments"]


def test_options_of_the_users_own_are_listed(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "norm").mkdir()
    (tmp_path / "norm/slow.yaml").write_text(
        "name: batch\neps: 0.1\nmomentum: 0.01\naffine: true\nbias: true\ntrack_running_stats: true\n"
    )
    monkeypatch.setenv("REGBENCH_CONFIG_PATH", str(tmp_path))
    text = invoke("options", "norm").out
    assert "norm=slow  (x" in text and "    norm.momentum=0.01 " in text


def test_regbench_alone_says_in_five_lines_what_to_type(invoke: Invoke) -> None:
    lines = invoke().out.splitlines()
    assert len(lines) == 5 and all(line.startswith("regbench ") for line in lines)
