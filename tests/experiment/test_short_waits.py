"""OpenMP's waiting, in a real process whose two threads share one core."""

import subprocess
import sys
from pathlib import Path

import pytest

SHARING = """
import os, threading, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import torch
from regbench.experiment.short_waits import short_waits_when_busy

def until(is_there):
    limit = time.monotonic() + 100
    while ("stand_by" in {thread.name for thread in threading.enumerate()}) != is_there:
        assert time.monotonic() < limit, f"a bystander should be there: {is_there}"
        work()

def multiply():
    matrix @ matrix

torch.set_num_threads(2)
matrix, work = torch.ones(300, 300), multiply
with short_waits_when_busy(2):
    until(True)
    work = lambda: time.sleep(0.1)
    until(False)
    work = multiply
    until(True)
assert threading.active_count() == 1
print("it came, went, came again and ended")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not count waiting for a core")
def test_a_bystander_is_there_while_threads_wait_for_cores() -> None:
    done = subprocess.run([sys.executable, "-c", SHARING], capture_output=True, text=True, timeout=400)
    assert (done.stdout, done.stderr) == ("it came, went, came again and ended\n", "")
