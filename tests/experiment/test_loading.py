"""What loading torch sets in the process."""

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
from regbench.experiment.loading import keep_freed_memory

def faults_of_use():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [b"x" * (20 << 20) for _ in range(5)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = [faults_of_use() for _ in range(3)]
keep_freed_memory()
kept = [faults_of_use() for _ in range(3)]
print(min(given_back), max(kept[1:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_that_is_freed_is_used_again():
    run = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True)
    given_back, kept = map(int, run.stdout.split())
    assert given_back > 5_000, "pages of 4 kB: this is what the setting is for"
    assert kept < 100
