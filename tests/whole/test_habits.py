"""The files around the code say what is true."""

import tomllib
from pathlib import Path

import yaml

import regbench

ROOT = Path(__file__).parents[2]


def test_the_citation_names_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_hooks_before_a_commit_are_the_gate() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    gate = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(hook["entry"] in gate for hook in hooks)


def test_a_report_of_a_fault_asks_for_regbench_info() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/fault.yml").read_text())
    assert any(part["attributes"]["label"] == "regbench info" for part in form["body"])


def test_types_are_exported() -> None:
    assert (Path(regbench.__file__).parent / "py.typed").is_file()
