"""What is recorded of the program and the machine."""

import subprocess
import sys

import pytest
import torch

from regbench.config.location import CHECKOUT, config_dir
from regbench.experiment.provenance import facts, heading, recipes

pytestmark = pytest.mark.skipif(not (CHECKOUT / ".git").exists(), reason="not a checkout with a .git")


def test_a_checkout_s_commit_is_recorded():
    git = ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    found = facts(torch.device("cpu"), threads=3)
    assert found["git"]["commit"] == commit
    assert found["machine"]["threads"] == 3
    assert found["versions"]["torch"] == torch.__version__


@pytest.mark.slow
def test_a_git_hook_s_environment_is_no_matter(monkeypatch, tmp_path):
    """In a hook GIT_DIR names the repository that the hook runs in."""
    git = ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    code = (
        "import torch; from regbench.experiment.provenance import facts; "
        "print(facts(torch.device('cpu'), 1)['git']['commit'])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == commit


def test_the_checkout_holds_the_package_and_its_configs():
    assert (CHECKOUT / "pyproject.toml").is_file()
    assert (CHECKOUT / "src" / "regbench" / "experiment" / "provenance.py").is_file()
    assert config_dir() == CHECKOUT / "conf"


@pytest.mark.parametrize(
    ("overrides", "experiment", "recipe"),
    [
        (["norm=batch"], None, None),
        (["+experiment=mlp_xavier", "study=x", "runtime.study=y"], "mlp_xavier", None),
        (["+study=norms", "norm=batch"], None, "norms"),
        (["++experiment='mlp_xavier'", "+study=mine"], "mlp_xavier", "mine"),
        (["+experiment=[mlp_normal,mlp_deep]"], "mlp_normal+mlp_deep", None),
        (["+experiment@_global_=mlp_deep"], "mlp_deep", None),
    ],
)
def test_a_run_knows_the_recipes_that_it_came_from(overrides, experiment, recipe):
    assert recipes(overrides) == {"experiment": experiment, "recipe": recipe}


def test_the_first_lines_of_a_log():
    command, versions, machine = heading(
        ["norm=batch", "runtime.study=a b"], facts(torch.device("cpu"), 1) | {"stack": 3}
    )
    assert command == "regbench train norm=batch 'study=a b'"
    assert f"torch {torch.__version__}" in versions
    assert machine.endswith(", 1 thread, 3 runs together")
