"""What a sweep consists of: Hydra's sweeps, keys in step, conditions."""

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given
from hypothesis import strategies as st

from regbench.cli.arguments import spelled_out
from regbench.cli.command_line import CommandLine
from regbench.config.location import config_dir
from regbench.errors import UserError
from regbench.sweep import yaml_values
from regbench.sweep.compose import Composer
from regbench.sweep.grid import expand, values_of
from regbench.sweep.ranges import numbers, override_parser

TINY = ["model.hidden=[8]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1"]


@pytest.fixture(scope="module")
def loader() -> Any:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return GlobalHydra.instance().config_loader()


def jobs(loader: Any, *words: str, **options: Any) -> list[str]:
    return [" ".join(job) for job in expand(loader, {}, words, **options)]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("a=1", "1"),
        ("a=1,2", "1 2"),
        ("a=choice(x,y)", "x y"),
        ("a=range(0,3)", "0 1 2"),
        ("a=range(3,0,-1)", "3 2 1"),
        ("a=range(3)", "0 1 2"),
        ("a=range(0,0.5,0.1)", "0.0 0.1 0.2 0.3 0.4"),
        ("a=range(0.1,0.35,0.1)", "0.1 0.2 0.3"),
        ("a=range(0.1,0.4,0.1)", "0.1 0.2 0.3"),
        ("a=range(0.3,0,-0.1)", "0.3 0.2 0.1"),
        ("a=range(1e-4,5e-4,1e-4)", "0.0001 0.0002 0.0003 0.0004"),
        ("a=range(0.5,2)", "0.5 1.5"),
        ("a=sort(range(0,0.4,0.1),reverse=true)", "0.3 0.2 0.1 0.0"),
        ("a=sort(range(2,10,3))", "2 5 8"),
        ("a=sort(range(2,10,3),reverse=true)", "8 5 2"),
        ("a=sort(range(9,0,-4))", "1 5 9"),
        ("a=sort(range(9,0,-4),reverse=true)", "9 5 1"),
        ("a=sort(sweep=range(0,2),reverse=true)", "1 0"),
        ("a=sort(range(0.2,0.65,0.3),reverse=true)", "0.5 0.2"),
        ("a=sort(range(0.5,0,-0.2))", "0.1 0.3 0.5"),
        ("a=sort(shuffle(range(0,4)))", "0 1 2 3"),
        ("a=sort(shuffle(range(0.3,0,-0.1)))", "0.1 0.2 0.3"),
        ("a=sort(shuffle(3,1,2))", "1 2 3"),
        ("a=float(sort(range(5,0,-2)))", "1.0 3.0 5.0"),
        ("a=sort(3,1,2)", "1 2 3"),
        ("a=float(range(0,2))", "0.0 1.0"),
        ("a=[8],[16,8]", "[8] [16,8]"),
        ("a=null,true,x", "null True x"),
        ("norm=glob([b*,l*])", "batch layer"),
        ("norm=glob(*,exclude=[g*,i*])", "batch layer none rms"),
    ],
)
def test_every_kind_of_sweep_gives_the_values_that_are_meant(loader: Any, word: str, values: str) -> None:
    key = word.partition("=")[0]
    assert jobs(loader, word) == [f"{key}={value}" for value in values.split()]


@pytest.mark.parametrize("word", ["a=shuffle(0,1,2,3)", "a=shuffle(range(0,4))", "a=shuffle(range(0.0,4.0))"])
def test_shuffled_values_are_all_there(loader: Any, word: str) -> None:
    found = {tuple(jobs(loader, word)) for _ in range(30)}
    assert len(found) > 1
    assert {tuple(sorted(float(job[2:]) for job in order)) for order in found} == {(0, 1, 2, 3)}


@given(st.integers(-1000, 1000), st.integers(1, 60), st.integers(1, 50), st.integers(0, 6))
def test_ranges_are_what_decimal_arithmetic_gives(start: int, count: int, step: int, places: int) -> None:
    from hydra.core.override_parser.types import RangeSweep

    def written(number: int) -> float:
        return float(f"{number}e-{places}")

    sweep = RangeSweep(start=written(start), stop=written(start + count * step), step=written(step))
    assert numbers(sweep) == [written(start + place * step) for place in range(count)]


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool), st.sampled_from([1, 10, 1000]))
def test_sorted_ranges_are_the_numbers_of_the_range_in_order(start: int, stop: int, step: int, divisor: int) -> None:
    def values(word: str) -> list[str]:
        return values_of(override_parser().parse_override(f"a={word}"))

    def value(word: str) -> float:
        return float(word.removeprefix("a="))

    ends = (start, stop, step) if divisor == 1 else (start / divisor, stop / divisor, step / divisor)
    written = f"range({','.join(map(str, ends))})"
    rising = sorted(values(written), key=value)
    for inner in (written, f"shuffle({written})", f"sort({written},reverse=true)"):
        assert values(f"sort({inner})") == rising
        assert values(f"sort({inner},reverse=true)") == rising[::-1]
    assert sorted(values(f"shuffle(sort({written}))"), key=value) == rising


def test_the_last_varies_fastest_and_a_word_replaces_the_one_before(loader: Any) -> None:
    assert jobs(loader, "a=1,2", "b=3,4", "a=5,6") == ["a=5 b=3", "a=5 b=4", "a=6 b=3", "a=6 b=4"]
    assert [" ".join(job) for job in expand(loader, {"a": "1,2", "b": "3"}, ["a=7"])] == ["a=7 b=3"]


def test_keys_in_step(loader: Any) -> None:
    zipped = [["norm", "lr"]]
    found = jobs(loader, "norm=none,batch", "seed=0,1", "lr=1,2", zipped=zipped)
    assert found == [f"norm={norm} lr={lr} seed={seed}" for norm, lr in (("none", 1), ("batch", 2)) for seed in (0, 1)]
    both = jobs(loader, "a=1,2", "b=3,4", "+c=5,6", "d=range(0,0.2,0.1)", zipped=[["a", "c"], ["d", "b"]])
    assert both == ["a=1 +c=5 d=0.0 b=3", "a=1 +c=5 d=0.1 b=4", "a=2 +c=6 d=0.0 b=3", "a=2 +c=6 d=0.1 b=4"]


@pytest.mark.parametrize(
    ("words", "zipped", "message"),
    [
        (["a=1,2", "b=1,2,3"], [["a", "b"]], r"^zip=a,b: needs keys with the same number of values: a has 2, b has 3$"),
        (["a=1,2", "b=3"], [["a", "b"]], "a has 2, b has 1"),
        (["norm=1,2", "b=3"], [["nrom", "b"]], "no key 'nrom' in the sweep. Did you mean 'norm'"),
        (["a=1,2"], [["a"]], "two or more keys"),
        (["a=1,2"], [["a", "a"]], "two or more keys"),
        (["a=1,2", "b=1,2", "c=1,2"], [["a", "b"], ["b", "c"]], "zip=b,c: b is zipped already"),
        (["a=shuffle(1,2)", "b=1,2"], [["a", "b"]], "a is shuffled"),
        (["a=interval(0,1)"], [], "hydra/sweeper=optuna"),
        (["a=choice(1,2),3"], [], "one sweep inside of another"),
        (["a=range(0,1,0.0)"], [], "step other than 0"),
        (["a=range(0,1,0)"], [], "step other than 0"),
        (["a=sort(range(0,1,0))"], [], "step other than 0"),
        (["a=range(0,inf,0.5)"], [], "finite"),
        (["a=sort(range(0,inf,0.5),reverse=true)"], [], "finite"),
        (["a=range(1,0,0.5)"], [], "no runs"),
        (["norm=glob(x*)"], [], "no runs"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_line(loader: Any, words: list[str], zipped: list[list[str]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        expand(loader, {}, words, zipped)


# From the command line


def seeds_and(key: str) -> set[tuple[Any, Any]]:
    configs = [json.loads(path.read_text())["config"] for path in Path("runs").rglob("run.json")]
    return {
        (config["seed"], config[key]["name"] if isinstance(config[key], dict) else config[key]) for config in configs
    }


@pytest.mark.slow
def test_zip_and_where_on_the_command_line(train: Any) -> None:
    ended = train("-m", "norm=none,layer", "dropout=0.1,0.2", "seed=0,1", "zip=norm,dropout", "where=seed=1", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("2 combinations left out by where=seed=1\n2 runs: 2 to train\n")
    assert seeds_and("norm") == {(1, "none"), (1, "layer")}
    assert seeds_and("dropout") == {(1, 0.1), (1, 0.2)}


@pytest.mark.slow
def test_each_job_is_composed_once(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    compose = Composer.compose
    monkeypatch.setattr(Composer, "compose", lambda *arguments: (composed.append(1), compose(*arguments))[1])
    assert train("-m", "norm=none,layer", "seed=0,1", "where=seed=1", *TINY, "--plan").code == 0
    assert len(composed) == 4


@pytest.mark.slow
def test_a_number_of_a_job_means_the_same_to_where_and_to_the_run(train: Any) -> None:
    ended = train("-m", "seed=${hydra:job.num}", "norm=none,layer,rms", "where=seed > 0", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert seeds_and("norm") == {(1, "layer"), (2, "rms")}


@pytest.mark.slow
def test_where_reads_the_whole_config_and_spares_what_would_not_fit(train: Any) -> None:
    condition = "where=norm != instance and not (seed in [0, 2] and optimizer.lr < 0.01)"
    ended = train("-m", "norm=instance,none", "seed=range(0,3)", condition, "where=drop_last == false", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert seeds_and("norm") == {(1, "none")}


@pytest.mark.slow
def test_a_yaml_file_has_zip_and_where(train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf/sweeps").mkdir(parents=True)
    text = (
        "# @package _global_\nhydra:\n  sweeper:\n    params: {seed: '0,1,2', dropout: '0.1,0.2,0.3'}\n"
        "    zip: [[seed, dropout]]\n    where: ['dropout > 0.15', 'seed < 2']\n"
    )
    (tmp_path / "conf/sweeps/mine.yaml").write_text(text)
    monkeypatch.setenv("REGBENCH_CONFIG_PATH", "conf")
    ended = train("-m", "+sweeps=mine", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert seeds_and("dropout") == {(1, 0.2)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "seed=0,1", "where=sed == 1"], "no key 'sed' in the config. Did you mean 'seed'"),
        (["-m", "seed=0,1", "where=seed =="], "is not a condition"),
        (["-m", "seed=0,1", "where=__import__('os').system('touch hacked')"], "not allowed"),
        (["-m", "seed=0,1", "where=seed > 3"], "excludes all 2 combinations"),
        (["-m", "seed=0,1", "where=seed > 'a'"], "neither is less"),
        (["-m", "seed=0,1", "where="], "needs a value"),
        (["-m", "seed=0,1", "zip=seed,norm"], "no key 'norm' in the sweep"),
        (["seed=0", "where=seed == 0"], "add -m"),
        (["-m", "seed=0,1", "zip=seed,dropout", "dropout=0"], "seed has 2, dropout has 1"),
    ],
    ids=lambda value: "" if isinstance(value, list) else value,
)
def test_a_mistake_is_one_line_and_nothing_is_trained(train: Any, words: list[str], message: str) -> None:
    ended = train(*words, *TINY)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert message in ended.err
    assert not list(Path().iterdir())


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_condition_reaches_the_sweeper_as_it_was_written(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if not text.strip():
        return
    *_, word = spelled_out(CommandLine(["-m", f"where={text}"]))
    (override,) = OverridesParser.create().parse_overrides([word])
    assert override.value() == [text]


# Unions


def test_each_grid_of_a_union_is_combined_with_all_else(loader):
    union = [["optimizer=sgd", "optimizer.lr=0.1,0.5"], ["optimizer=adam"], ["seed=7", "+epochs=3"]]
    assert jobs(loader, "optimizer=lbfgs", "seed=0,1", union=union) == [
        "optimizer=sgd optimizer.lr=0.1 seed=0",
        "optimizer=sgd optimizer.lr=0.1 seed=1",
        "optimizer=sgd optimizer.lr=0.5 seed=0",
        "optimizer=sgd optimizer.lr=0.5 seed=1",
        "optimizer=adam seed=0",
        "optimizer=adam seed=1",
        "seed=7 +epochs=3 optimizer=lbfgs",
    ]


UNIONS = {
    "union=norm=none|norm=batch norm.eps=1,2": [["norm=none"], ["norm=batch", "norm.eps=1,2"]],
    "union=model.hidden=[8, 8] | study='a | b' diagnostics=off": [
        ["model.hidden=choice([8, 8])"],
        ["runtime.study='a | b'", "runtime.diagnostics=off"],
    ],
    "union=norm=choice(none, batch)": [["norm=choice(none, batch)"]],
}


@pytest.mark.parametrize("word", UNIONS)
def test_a_union_is_divided_at_bars_and_blanks_outside_of_quotes_and_brackets(word):
    flag, override = spelled_out(CommandLine(["-m", word]))
    parsed = override_parser(None).parse_overrides([override])[0]
    assert (flag, parsed.key_or_group) == ("-m", "hydra.sweeper.union")
    assert parsed.value() == UNIONS[word]


def test_a_union_in_yaml_is_that_of_the_command_line():
    typed = [["optimizer=sgd", "optimizer.lr=0.1,0.5"], ["optimizer=adam", "clip_norm=null"]]
    written = [{"optimizer": "sgd", "optimizer.lr": [0.1, 0.5]}, {"optimizer": "adam", "clip_norm": None}]
    assert yaml_values.grids(written) == yaml_values.grids(typed) == typed
    for wrong in ("norm=none", ["norm=none"], [[]], [["norm"]], [3]):
        with pytest.raises(UserError, match=r"^hydra\.sweeper\.union"):
            yaml_values.grids(wrong)


@pytest.mark.slow
def test_runs_of_two_grids_are_trained_once(train):
    words = ["seed=0,1", *TINY, "where=seed < 1"]
    ended = train("-m", *words, "union=norm=none,batch | norm=batch,layer dropout=0,0.5", "--plan", "--format", "json")
    plan = json.loads(ended.out)
    assert (ended.code, plan["total"], plan["duplicates"]) == (0, 5, 1)
