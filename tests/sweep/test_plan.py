"""What a sweep would train, and what it hands to an engine."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from regbench.config.run_config import RunConfig
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from regbench.sweep.plan import Plan, plan, stacks
from regbench.sweep.run import train
from regbench.sweep.watch import Watch
from regbench.training import machine

# The device is not part of what a run is: another seed makes the runs on another device others.
ON_EITHER = [
    [f"runtime.device={device}", f"seed={seed}", f"optimizer={optimizer}"]
    for seed, device in enumerate(("cpu", "auto"))
    for optimizer in ("adam", "sgd")
]


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cpu`, and a device that `auto` means; it trains optimizers one by one, unlike a CPU."""

    def find(config: RunConfig, elsewhere: str | None = None) -> torch.device:
        return torch.device("cpu" if config.runtime.device == "cpu" else "mps")

    monkeypatch.setattr(machine, "find_device", find)


def planned(make_config: Any, folder: Path, overrides: Sequence[Sequence[str]]) -> Plan:
    jobs: list[Any] = []
    for words in overrides:
        config = make_config(*words, f"runtime.dir={folder}")
        jobs.append(
            SimpleNamespace(
                overrides=words, resolved={"runtime": {"progress": "off"}}, check=lambda config=config: config
            )
        )
    return plan(jobs)


def together(stacks: Sequence[Sequence[Run]]) -> list[list[str]]:
    return [[" ".join(run.overrides) for run in stack] for stack in stacks]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.usefixtures("two_devices")
def test_runs_are_grouped_for_the_device_of_each(make_config: Any, tmp_path: Path, order: int) -> None:
    found = planned(make_config, tmp_path, ON_EITHER[::order])
    trained = [[found.pending[place] for place in group.places] for group in found.groups]
    cpu, other = ON_EITHER[:2][::order], ON_EITHER[2:][::order]
    apart = [[" ".join(words)] for words in other]
    expected = [[" ".join(words) for words in cpu], *apart]
    assert together(trained) == (expected if order == 1 else [*expected[1:], expected[0]])
    assert together(stacks(found.pending)) == together(trained), "the engine gets what was planned"
    devices = ("cpu, mps", "mps, cpu")[order == -1]
    assert found.reasons[0] == f"runtime.device differs: {devices}"
    assert [reason.partition(" ")[0] for reason in found.reasons[1:]] == ["optimizer"]


class Engine:
    """Trains nothing."""

    def __init__(self) -> None:
        self.calls: list[list[list[str]]] = []

    def train(self, runs: Sequence[Run], watch: Watch) -> None:
        self.calls.append(together(stacks(runs)))


@pytest.mark.usefixtures("two_devices")
def test_an_engine_gets_each_device_s_stacks(make_config: Any, tmp_path: Path) -> None:
    found = planned(make_config, tmp_path, ON_EITHER)
    engine = Engine()
    launcher: Any = SimpleNamespace(engine=lambda: engine)
    train(launcher, found.runs, found.pending, Watch(Reporter("off"), 4))
    assert engine.calls[0] == together(stacks(found.runs))
    assert [len(stack) for stack in engine.calls[0]] == [2, 1, 1]


def test_one_device_is_no_reason(make_config: Any, tmp_path: Path) -> None:
    found = planned(make_config, tmp_path, [["norm=none"], ["norm=batch"]])
    assert found.reasons == ["norm differs: none, batch"]
