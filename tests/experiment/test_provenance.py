"""What is recorded of the program and the machine."""

import subprocess

import torch

from regbench.config.location import CHECKOUT, config_dir
from regbench.experiment.provenance import facts


def test_a_checkout_s_commit_is_recorded():
    git = ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    found = facts(torch.device("cpu"), threads=3)
    assert found["git"]["commit"] == commit
    assert found["machine"]["threads"] == 3
    assert found["versions"]["torch"] == torch.__version__


def test_the_checkout_holds_the_package_and_its_configs():
    assert (CHECKOUT / "pyproject.toml").is_file()
    assert (CHECKOUT / "src" / "regbench" / "experiment" / "provenance.py").is_file()
    assert config_dir() == CHECKOUT / "conf"
