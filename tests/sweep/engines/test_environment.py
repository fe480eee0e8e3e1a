"""What is set for OpenMP before torch reads it."""

import os
import subprocess
import sys

import pytest

# Tells the setting at the moment when torch is imported.
WATCHED = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("torch sees", os.environ.get("GOMP_SPINCOUNT"))
sys.meta_path.insert(0, Finder())
from regbench.cli.main import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("given", "seen"), [pytest.param(None, "1000", marks=pytest.mark.stress), ("7", "7")])
def test_threads_of_a_sweep_spin_less_unless_a_user_says_how_long(tmp_path, given, seen):
    settings = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    settings |= {"GOMP_SPINCOUNT": given} if given else {}
    command = [sys.executable, "-c", WATCHED, "train", "-m", "seed=0,1", "--plan"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=settings, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"torch sees {seen}"
