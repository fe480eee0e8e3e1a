"""Seeds in rounds until each row is decided, and plans that say what a sweep can show."""

import json
from pathlib import Path
from typing import Any

import pytest

import regbench
from regbench.training.stack import Stack

pytestmark = [pytest.mark.usefixtures("own_process"), pytest.mark.slow]

TINY = ["model.hidden=[16]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1"]
FAR = ["optimizer.lr=0.01,1e-7"]  # one learns, the other does not
SAME = ["clip_norm=null,1e6"]  # equal to the last digit


def seeds_of(key: str) -> dict[Any, list[int]]:
    """The seeds that each value of a key was trained with, in order."""
    axis, _, leaf = key.partition(".")
    found: dict[Any, list[int]] = {}
    for path in Path("runs").rglob("run.json"):
        config = json.loads(path.read_text())["config"]
        found.setdefault(config[axis][leaf] if leaf else config[axis], []).append(config["seed"])
    return {value: sorted(seeds) for value, seeds in found.items()}


def finals() -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_text())["result"]["last"] for path in Path("runs").rglob("run.json")}


def until(train: Any, *words: str) -> Any:
    return train("-m", *words, *TINY, "--until-decided")


def test_it_stops_when_all_is_decided(train):
    ended = until(train, *FAR)
    assert ended.code == 0
    trained = seeds_of("optimizer.lr")
    assert trained[0.01] == trained[1e-07] == list(range(len(trained[0.01])))
    assert len(trained[0.01]) in (10, 14)
    assert "Seeds 0 to 5: 12 runs: 12 to train" in ended.out
    assert "  1 row decided" in ended.out
    assert "worse" in ended.out and "95 % confidence sequence" in " ".join(ended.out.split())
    assert f"{2 * len(trained[0.01])} runs in place of 100 with 50 seeds each" in ended.out
    assert "regbench summary runs/default --baseline optimizer.lr=0.01 --anytime" in ended.out


@pytest.mark.slow
def test_in_python_it_trains_what_the_command_trains(train):
    assert until(train, *FAR).code == 0
    before = finals()
    frame = regbench.sweep(*FAR, *TINY, until_decided=True)
    assert (len(frame), finals()) == (len(before), before)
    assert set(frame["status"]) == {"completed"}


@pytest.mark.stress
def test_it_stops_at_the_limit_and_only_undecided_rows_and_the_baseline_go_on(train):
    ended = until(train, "optimizer.lr=0.01,0.0100001,1e-7", "--baseline", "optimizer.lr=0.01", "--max-seeds", "18")
    assert ended.code == 0
    trained = seeds_of("optimizer.lr")
    assert trained[0.01] == trained[0.0100001] == list(range(18))
    assert len(trained[1e-07]) < 18
    assert "undecided after 18 seeds: optimizer.lr=0.0100001" in ended.out


def test_undecided_rows_go_on_to_the_limit(train):
    ended = until(train, *SAME, "--max-seeds", "8")
    assert ended.code == 0 and "1 row decided, undecided after 8 seeds" in ended.out.replace("0 of ", "")
    assert seeds_of("clip_norm")[None] == list(range(8))


def test_equal_rows_are_equivalent_within_a_margin(train):
    ended = until(train, *SAME, "--margin=1", "--baseline=clip_norm=null")
    assert "equivalent" in ended.out and seeds_of("clip_norm")[None] == list(range(6))


def test_it_goes_on_from_the_seeds_that_are_named(train):
    ended = until(train, *SAME, "seed=3,4", "--max-seeds=9")
    assert ended.code == 0
    assert seeds_of("clip_norm")[None] == list(range(3, 12))


@pytest.mark.stress
def test_a_stopped_sweep_ends_as_one_that_was_not(train, monkeypatch):
    original = Stack.step

    def step(self: Stack, *batch: Any) -> Any:
        if any(config.seed == 7 for config in self.configs):
            raise KeyboardInterrupt
        return original(self, *batch)

    monkeypatch.setattr(Stack, "step", step)
    stopped = until(train, *FAR)
    assert stopped.code == 130
    assert "To resume: regbench train -m" in stopped.err and "--until-decided" in stopped.err
    monkeypatch.setattr(Stack, "step", original)
    assert until(train, *FAR).code == 0
    resumed = finals()
    ended = until(train, *FAR)
    assert ": 12 done already" in ended.out and "to train" not in ended.out
    whole = until(train, *FAR, "runtime.dir=runs/whole")
    assert whole.code == 0
    both = finals()
    assert {name: both[name] for name in resumed} == resumed
    assert len(both) == len(resumed), "the same runs, in another folder"


def test_a_failed_run_ends_the_rounds(train, monkeypatch):
    original = Stack.step

    def step(self: Stack, *batch: Any) -> Any:
        if any(config.seed == 2 for config in self.configs):
            raise ZeroDivisionError("boom")
        return original(self, *batch)

    monkeypatch.setattr(Stack, "step", step)
    ended = until(train, *SAME)
    assert ended.code == 1
    assert "2 runs not completed" in ended.out
    assert max(seeds_of("clip_norm")[None]) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["norm=none,batch", "--until-decided", "--baseline", "init=xavier"], "no key 'init' in the sweep"),
        (["norm=none,batch", "--until-decided", "--baseline", "norm=bacth"], "Did you mean 'batch'?"),
        (["norm=batch", "--until-decided"], "--until-decided: compares rows, and the sweep has one"),
        (["norm=none,batch", "--until-decided", "--max-seeds", "3"], "--max-seeds 3: must be at least 6"),
        (["norm=none,batch", "--until-decided", "--max-seeds", "many"], "--max-seeds many: must be a whole number"),
        (["norm=none,batch", "--until-decided", "--margin", "0"], "--margin 0: must be a finite number above 0"),
        (["norm=none,batch", "--until-decided", "--margin"], "--margin: needs a value, as in --margin 0.2"),
        (["norm=none,batch", "--margin", "0.2"], "--margin: belongs to --until-decided"),
        (["norm=none,batch", "--pilot", "3"], "--pilot: belongs to --plan"),
        (["norm=none,batch", "seed=range(0,8)", "--plan", "--pilot", "2"], "--pilot 2: must be at least 3"),
        (["norm=none,batch", "--until-decided=yes"], "--until-decided takes no value"),
        (["seed=interval(0,9)", "hydra/sweeper=optuna", "--until-decided"], "--until-decided: belongs to a grid"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(train, words, message):
    ended = train("-m", *TINY, *words)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert message in ended.err
    assert not Path("runs").exists()


def test_rounds_belong_to_a_sweep(train):
    assert train("norm=batch", "--until-decided").err == "error: --until-decided: belongs to a sweep: add -m\n"


# What a plan can show


def shown(output: str) -> str:
    return next(line for line in output.splitlines() if line.startswith("Smallest difference: "))


def test_a_plan_without_runs_speaks_of_standard_deviations_and_a_pilot_measures_them(train):
    sweep = ["-m", "activation=relu,tanh,sigmoid", "seed=range(0,8)", *TINY, "--plan"]
    line = shown(train(*sweep).out)
    assert "standard deviations, found with 80 % power by 8 seeds with 2 comparisons by Holm" in line
    assert line.endswith("--pilot 3 measures how much that is.")
    ended = train(*sweep, "--pilot", "3")
    assert "Pilot: 9 runs of the sweep, 9 to train" in ended.out
    assert "24 runs: 9 done already, 15 to train" in ended.out
    assert "points of test_acc" in shown(ended.out) and "2 rows of this sweep" in shown(ended.out)
    assert len(finals()) == 9
    other = train("-m", "init=xavier,lecun", "seed=range(0,8)", *TINY, "--plan")
    assert "rows of runs like these" in shown(other.out)


def test_a_plan_says_which_number_of_seeds_could_show_anything(train):
    line = shown(train("-m", "norm=none,batch", "seed=range(0,5)", *TINY, "--plan").out)
    assert line == "Smallest difference: 5 seeds can show none with 1 comparison by Holm, 6 seeds can."
