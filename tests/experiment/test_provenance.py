"""What is recorded of the program and the machine."""

import subprocess
import sys

import pytest
import torch

from regbench.config.location import CHECKOUT, config_dir
from regbench.experiment.provenance import facts

pytestmark = pytest.mark.skipif(not (CHECKOUT / ".git").exists(), reason="not a checkout with a .git")


def test_a_checkout_s_commit_is_recorded():
    git = ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    found = facts(torch.device("cpu"), threads=3)
    assert found["git"]["commit"] == commit
    assert found["machine"]["threads"] == 3
    assert found["versions"]["torch"] == torch.__version__


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
