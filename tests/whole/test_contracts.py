"""The contracts of import-linter: the program keeps them, and each is broken by an import that it forbids."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from regbench.config.location import CHECKOUT

CONTRACTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
FORBIDDEN = {  # what each contract must see: a line added to a module
    "One way down": ("regbench/records/rows.py", "import regbench.training.machine"),
    "The training loop touches no file and prints nothing": ("regbench/training/stack.py", "import rich"),
    "Conclusions are drawn without torch": ("regbench/analysis/groups.py", "import torch"),
    "Only the command line and sweeps know Hydra": ("regbench/models/dense.py", "import omegaconf"),
    "Nothing depends on the plugins": ("regbench/cli/main.py", "import hydra_plugins.regbench.launcher"),
    "Axes stand alone": ("regbench/techniques/norm.py", "import regbench.techniques.clip"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the program's modules, and nothing else that could be linted in their place."""
    shutil.copytree(CHECKOUT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "mnist"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    """The exit code and the output of import-linter in a folder."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout


def test_every_contract_has_a_forbidden_import_here() -> None:
    assert [contract["name"] for contract in CONTRACTS] == list(FORBIDDEN)


def test_every_axis_is_to_stand_alone() -> None:
    (axes,) = (contract["modules"] for contract in CONTRACTS if contract["name"] == "Axes stand alone")
    modules = {path.stem for path in (CHECKOUT / "src/regbench/techniques").glob("*.py")}
    shared = {"__init__", "layers", "torch_adapters"}
    assert set(axes) == {f"regbench.techniques.{name}" for name in modules - shared}


@pytest.mark.slow
def test_the_program_keeps_its_contracts(copy: Path) -> None:
    code, output = lint(copy)
    assert (code, output.count(" KEPT"), output.count(" BROKEN")) == (0, len(CONTRACTS), 0), output


@pytest.mark.slow
@pytest.mark.parametrize("contract", FORBIDDEN)
def test_a_forbidden_import_breaks_its_contract(copy: Path, contract: str) -> None:
    module, line = FORBIDDEN[contract]
    with (copy / "src" / module).open("a") as file:
        file.write(f"{line}\n")
    code, output = lint(copy)
    assert code == 1, output
    assert f"{contract} BROKEN" in output


@pytest.mark.slow
def test_a_package_without_a_layer_breaks_the_layers(copy: Path) -> None:
    (copy / "src/regbench/attic").mkdir()
    (copy / "src/regbench/attic/__init__.py").touch()
    code, output = lint(copy)
    assert code == 1, output
    assert "One way down BROKEN" in output
