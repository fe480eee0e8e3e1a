"""Sweeps on a real Ray cluster of two nodes, both on this machine, one of which is killed, frozen or strange."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from regbench.errors import UserError
from sweeps import (
    ENDLESS,
    NO_RETRY,
    SECONDS,
    Start,
    ended,
    holder,
    is_alive,
    linux,
    needs,
    parent,
    record,
    run_of,
    same_bits,
    trained,
    until,
)

pytestmark = [linux, needs["ray"], pytest.mark.slow]

HEAD = """
import signal, sys
from ray.cluster_utils import Cluster
checks = {"initial_delay_ms": 0, "period_ms": 1000, "timeout_ms": 5000, "failure_threshold": 3}
config = {f"health_check_{name}": value for name, value in checks.items()}
head = {"num_cpus": 1, "include_dashboard": False, "_system_config": config}
cluster = Cluster(initialize_head=True, head_node_args=head)
nodes = [cluster.head_node, *(cluster.add_node(num_cpus=1) for _ in sys.argv[1:])]
raylets = [node.all_processes["raylet"][0].process for node in nodes]
signal.signal(signal.SIGCHLD, lambda *_: [raylet.poll() for raylet in raylets])  # workers outlive a zombie
print(cluster.address, *(raylet.pid for raylet in raylets), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


class Nodes(NamedTuple):
    """A cluster: the address of its head, and the processes of its nodes' raylets."""

    address: str
    raylets: list[int]

    def lost(self) -> int:
        """The seed that the second node trains."""
        return next(seed for seed in (0, 1) if parent(holder(seed)) == self.raylets[1])


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A token of this test, and a short folder: the paths of Ray's sockets have at most 107 letters."""
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    variables = {"AUTH_MODE": "token", "AUTH_TOKEN": uuid4().hex, "TMPDIR": folder, "worker_niceness": "0"}
    for name, value in variables.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(request: Any, secret: Path) -> Iterator[Nodes]:
    """As many nodes as the test asks for, two unless it does, each with one processor."""
    more = ["node"] * (getattr(request, "param", 2) - 1)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-c", HEAD, *more], text=True, cwd=secret, **pipes)  # type: ignore[call-overload]
    address, *raylets = process.stdout.readline().split()
    nodes = Nodes(address, [int(pid) for pid in raylets])
    yield nodes
    for raylet in nodes.raylets:
        with suppress(ProcessLookupError):
            os.kill(raylet, signal.SIGCONT)
    process.communicate(timeout=SECONDS)


def joining(cluster: Nodes) -> list[str]:
    """The command of one more node."""
    start = ["start", f"--address={cluster.address}", "--num-cpus=1", "--block"]
    return [sys.executable, "-m", "ray.scripts.scripts", *start]


@contextmanager
def node(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A node that has joined, by a command."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environment}
    process = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
    try:
        while "Ray runtime started" not in process.stdout.readline():
            assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


def sweep_on(start: Start, cluster: Nodes, epochs: int, *words: str) -> "subprocess.Popen[str]":
    return start("ray", "seed=0,1", f"epochs={epochs}", f"hydra.launcher.address={cluster.address}", *words)


def log(seed: int) -> str:
    path = run_of(seed)
    assert path
    return (path / "train.log").read_text()


@pytest.mark.stress
def test_the_runs_of_a_killed_node_resume_on_another(start: Start, cluster: Nodes) -> None:
    sweep = sweep_on(start, cluster, 400)
    until(lambda: trained(0) and trained(1))
    lost = cluster.lost()
    os.kill(cluster.raylets[1], signal.SIGKILL)
    code, out, err = ended(sweep)
    assert (code, err) == (0, "")
    assert "1 node (1 gone), 1 worker" in out
    assert "2 runs, all completed" in out
    assert "resuming after epoch" in log(lost)
    assert ended(start("local", "seed=0,1", "epochs=400", "runtime.dir=alone"))[0] == 0
    assert same_bits(Path("alone/default"), Path("runs/default"))


@pytest.mark.stress
def test_a_run_is_not_trained_again_more_often_than_set(start: Start, cluster: Nodes) -> None:
    sweep = sweep_on(start, cluster, 400, NO_RETRY)
    until(lambda: trained(0) and trained(1))
    lost = cluster.lost()
    os.kill(cluster.raylets[1], signal.SIGKILL)
    code, out, _ = ended(sweep)
    assert code == 1
    assert (record(1 - lost)["status"], record(lost)["status"]) == ("completed", "failed")
    assert record(lost)["error"].startswith("its worker is gone (")
    assert "1 run not completed:" in out


@pytest.mark.stress
def test_a_frozen_node_is_left_and_its_runs_are_waited_for(start: Start, cluster: Nodes) -> None:
    sweep = sweep_on(start, cluster, 400)
    until(lambda: trained(0) and trained(1))
    lost = cluster.lost()
    frozen = [cluster.raylets[1], holder(lost)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    assert sweep.stdout
    said: list[str] = []
    while "waits for 1 run that another process is training" not in "".join(said):
        said.append(sweep.stdout.readline())
        assert said[-1], "the sweep ended"
    assert any("1 node (1 gone), 1 worker" in line for line in said)
    for pid in frozen:
        os.kill(pid, signal.SIGKILL)  # somebody switches it off
    code, out, _ = ended(sweep)
    assert code == 0
    assert "2 runs, all completed" in out
    assert "resuming after epoch" in log(lost)


@pytest.mark.stress
@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_node_with_another_folder_is_named_and_nothing_is_trained(
    start: Start, cluster: Nodes, tmp_path: Path
) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this machine mounts no folder for one process")
    ray = " ".join(joining(cluster))
    with node(["unshare", "-rm", "sh", "-c", f"mount -t tmpfs none {tmp_path} && exec {ray}"]):
        code, _, err = ended(sweep_on(start, cluster, 1))
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: hydra/launcher=ray: node {socket.gethostname()} (")
    assert err.endswith(f"cannot train: {tmp_path} is not the same folder there\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.stress
@pytest.mark.parametrize("cluster", [1], indirect=True)
@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        (
            "regbench-9.9.dist-info/METADATA",
            "Name: regbench\nVersion: 9.9\n",
            f"it has regbench 9.9, and the sweep {version('regbench')}",
        ),
        ("regbench/__init__.py", "raise ModuleNotFoundError('No module here')", "ModuleNotFoundError: No module here"),
    ],
    ids=["another version", "no package"],
)
def test_a_node_without_this_version_is_named_and_nothing_is_trained(
    start: Start, cluster: Nodes, secret: Path, tmp_path: Path, file: str, text: str, reason: str
) -> None:
    strange = secret / "site" / file
    strange.parent.mkdir(parents=True)
    strange.write_text(text)
    with node(joining(cluster), {**os.environ, "PYTHONPATH": str(secret / "site")}):
        code, _, err = ended(sweep_on(start, cluster, 1))
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: hydra/launcher=ray: node {socket.gethostname()} (")
    assert f"cannot train: {reason}" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.stress
@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_head_that_wants_a_token_says_so_in_one_line(start: Start, cluster: Nodes, monkeypatch: Any) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    code, _, err = ended(sweep_on(start, cluster, 1))
    reason = "no Ray cluster answers (it wants a token: set RAY_AUTH_MODE=token)"
    assert (code, err) == (2, f"error: hydra.launcher.address={cluster.address}: {reason}\n")


@pytest.mark.stress
def test_a_server_that_is_no_head_is_one_line() -> None:
    from regbench.sweep.engines.ray_cluster import Cluster

    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UserError, match="no head of Ray within"):
        Cluster(f"127.0.0.1:{server.getsockname()[1]}", {}).connect()


@pytest.mark.stress
def test_sigterm_ends_a_sweep_and_its_ray_without_a_word(start: Start, secret: Path) -> None:
    sweep = start("ray", "seed=0", f"epochs={ENDLESS}", "+hydra.launcher.init.num_cpus=1")
    until(lambda: trained(0))
    worker = holder(0)
    raylet = parent(worker)
    sweep.send_signal(signal.SIGTERM)
    code, _, err = ended(sweep)
    assert (code, err) == (-signal.SIGTERM, "")
    until(lambda: not is_alive(worker) and not is_alive(raylet))
