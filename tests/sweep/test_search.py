"""Searches by Optuna: what a sweep's words span, what is told, and that the same command resumes."""

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regbench.errors import UserError
from regbench.experiment.recording import Recording
from regbench.training.stack import Stack

optuna = pytest.importorskip("optuna", reason="pip install 'regbench[optuna]'")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

from regbench.records.run_status import RunStatus  # noqa: E402
from regbench.sweep.pruning import Pruning  # noqa: E402
from regbench.sweep.ranges import override_parser  # noqa: E402
from regbench.sweep.search_settings import Settings, check  # noqa: E402
from regbench.sweep.space import distribution, written  # noqa: E402

TINY = ["model.hidden=[8]", "data.train_size=200", "data.val_size=100", "epochs=1", "runtime.threads=1"]
SEARCH = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.batch=2"]
RATES = "optimizer.lr=tag(log,interval(1e-4,1e-1))"


def trials(place: str = "runs/default/optuna.db") -> list[Any]:
    storage = f"sqlite:///{place}"
    (study,) = optuna.study.get_all_study_summaries(storage)
    return optuna.load_study(study_name=study.study_name, storage=storage).get_trials()


def study(place: str = "runs/default/optuna.db") -> str:
    (summary,) = optuna.study.get_all_study_summaries(f"sqlite:///{place}")
    return str(summary.study_name)


def records() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in Path("runs").rglob("run.json")]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a=interval(0.1,2)", FloatDistribution(0.1, 2)),
        ("a=tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("a=int(interval(1,8))", IntDistribution(1, 8)),
        ("a=tag(log,int(interval(1,8)))", IntDistribution(1, 8, log=True)),
        ("a=range(0,10,3)", IntDistribution(0, 9, step=3)),
        ("a=range(10,0,-5)", IntDistribution(5, 10, step=5)),
        ("a=sort(range(0,10,3),reverse=true)", IntDistribution(0, 9, step=3)),
        ("a=sort(range(9,0,-4))", IntDistribution(1, 9, step=4)),
        ("a=sort(shuffle(range(0.2,0.65,0.3)))", FloatDistribution(0.2, 0.5, step=0.3)),
        ("a=range(0,0.5,0.1)", FloatDistribution(0, 0.4, step=0.1)),
        ("a=x,y", CategoricalDistribution(["x", "y"])),
        ("a=choice([8],[16,8])", CategoricalDistribution(["[8]", "[16,8]"])),
    ],
)
def test_a_sweep_spans_a_dimension(word: str, expected: Any) -> None:
    (override,) = override_parser().parse_overrides([word])
    assert distribution(override) == expected


def test_multiples_of_a_step_are_written_as_people_do() -> None:
    assert [written(place * 0.1) for place in range(5)] == ["0.0", "0.1", "0.2", "0.3", "0.4"]
    assert (written(3), written("batch")) == ("3", "batch")


@pytest.fixture(autouse=True)
def after(own_process: None) -> None:
    """An empty current directory."""


@pytest.mark.slow
def test_the_same_command_resumes_a_search(train: Callable[..., Any]) -> None:
    words = [*SEARCH, RATES, "norm=none,layer", *TINY]
    first = train(*words, "hydra.sweeper.n_trials=3")
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("3 trials: 3 still to run\n")
    found = trials()
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 3
    losses = {record["config"]["optimizer"]["lr"]: record["result"]["best_val"]["val_loss"] for record in records()}
    assert {float(written(trial.params["optimizer.lr"])): trial.value for trial in found} == losses
    best = min(found, key=lambda trial: trial.value)
    table = first.out[first.out.rindex("trial  val_loss") :].splitlines()
    assert table[1].split()[:2] == [str(best.number), f"{best.value:.4f}"]
    assert "3 complete" in table

    more = train(*words, "hydra.sweeper.n_trials=4")
    assert more.out.startswith("4 trials: 3 done already, 1 still to run\n")
    assert [trial.params for trial in trials()[:3]] == [trial.params for trial in found]
    assert len({trial.params["optimizer.lr"] for trial in trials()}) == 4, "no start repeats another's draws"
    again = train(*words, "hydra.sweeper.n_trials=4")
    assert again.out.startswith("4 trials: 4 done already, 0 still to run\n")
    assert len(records()) == 4


@pytest.mark.slow
def test_after_max_seconds_no_trial_begins_and_the_same_command_resumes(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from regbench.sweep import search

    words = [*SEARCH, RATES, *TINY, "hydra.sweeper.n_trials=6", "hydra.sweeper.max_seconds=1000"]
    tell, now = search.Trials.tell, time.time

    def tell_late(self: Any, *told: Any) -> None:
        tell(self, *told)
        monkeypatch.setattr(time, "time", lambda: now() + 1000)

    monkeypatch.setattr(search.Trials, "tell", tell_late)
    first = train(*words)
    assert (first.code, first.err) == (0, "")
    *_, last = first.out.splitlines()
    assert last.startswith("4 of 6 trials left, as hydra.sweeper.max_seconds=1000 are over. To resume: regbench train ")
    assert "2 complete" in first.out
    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(search.Trials, "tell", tell)
    second = train(*words)
    assert second.out.startswith("6 trials: 2 done already, 4 still to run\n")
    assert "6 complete" in second.out
    assert " left, as " not in second.out


@pytest.mark.slow
def test_trials_that_were_asked_for_too_late_are_begun_by_the_next_start(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from regbench.experiment.run import Run

    words = [*SEARCH, RATES, *TINY, "hydra.sweeper.n_trials=2", "hydra.sweeper.max_seconds=1000"]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "is_late", property(lambda run: True))
        patch.setattr("regbench.sweep.search.Search._is_over", property(lambda search: bool(search._runs)))
        assert train(*words).out.splitlines()[-1].startswith("2 of 2 trials left, as ")
    assert [trial.state for trial in trials()] == [TrialState.RUNNING] * 2, "none failed: none was begun"
    assert train(*words).out.startswith("2 trials: 2 begun, 0 still to run\n")
    assert [trial.state for trial in trials()] == [TrialState.COMPLETE] * 2


@pytest.mark.slow
def test_a_start_tries_new_values_while_another_trains_those_that_were_begun(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from regbench.sweep import search

    words = [*SEARCH, RATES, *TINY, "hydra.sweeper.n_trials=4"]
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(search, "train", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert train(*words).code == 130
    with monkeypatch.context() as patch:
        patch.setattr(search, "is_locked", lambda path: True)
        patch.setattr(search, "train", lambda launcher, runs, *_: asked.append([run.trial[1] for run in runs]))
        patch.setattr(search.Trials, "tell", lambda *_: None)
        train(*words)
    assert asked[:2] == [[2, 3], [0, 1]], "its own trials first, then those that the other start may have left"


@pytest.mark.slow
def test_a_trial_that_was_begun_is_finished_first(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Stack, *batch: Any) -> Any:
        raise KeyboardInterrupt

    words = [*SEARCH, RATES, *TINY, "hydra.sweeper.n_trials=2"]
    with monkeypatch.context() as patch:
        patch.setattr(Stack, "step", stop)
        assert train(*words).code == 130
    begun = trials()
    assert [trial.state for trial in begun] == [TrialState.RUNNING] * 2
    ended = train(*words)
    assert ended.out.startswith("2 trials: 2 begun, 0 still to run\n")
    assert [(trial.state, trial.params) for trial in trials()] == [(TrialState.COMPLETE, t.params) for t in begun]


@pytest.mark.slow
def test_failed_trials_are_tried_again_and_diverged_ones_pruned(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Stack, *batch: Any) -> Any:
        raise ZeroDivisionError("boom")

    words = [*SEARCH, "optimizer=sgd", "optimizer.lr=1e9,0.1", "epochs=2", "hydra.sweeper.n_trials=2", *TINY[:-2]]
    with monkeypatch.context() as patch:
        patch.setattr(Stack, "step", fail)
        ended = train(*words, "runtime.threads=1")
    assert ended.code == 1
    assert "trials not completed:" in ended.out or "1 trial not completed:" in ended.out
    assert "ZeroDivisionError: boom" in ended.out
    assert {trial.state for trial in trials()} == {TrialState.FAIL}
    failed = [trial.params for trial in trials()]
    assert train(*words, "runtime.threads=1").code == 0
    assert [trial.params for trial in trials()[2:]] == failed
    for trial in trials()[2:]:
        diverges = trial.params["optimizer.lr"] == "1000000000.0"
        assert trial.state == (TrialState.PRUNED if diverges else TrialState.COMPLETE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dropout=interval(0,1.5)"], "dropout=1.5: must be a number in [0, 1)"),
        (["batch_size=interval(10,50)"], "must be an integer"),
        (["norm=none,bacth"], "Did you mean 'batch'?"),
        (["seed=0"], "nothing to search"),
        ([RATES, "hydra.sweeper.metric=test_acc"], "hydra.sweeper.metric=test_acc: must be one of val_loss"),
        ([RATES, "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: must be an integer of at least 1"),
        ([RATES, "hydra.sweeper.seed=abc"], "hydra.sweeper.seed=abc: must be an integer of at least 0"),
        ([RATES, "hydra.sweeper.sampler=grid"], "must be one of tpe, random, qmc, cmaes, gp"),
        ([RATES, "data.val_size=0"], "needs validation images"),
        ([RATES, "hydra.sweeper.max_seconds=0"], "hydra.sweeper.max_seconds=0: must be null or a number above 0"),
        ([RATES, "hydra.sweeper.max_seconds=9", "hydra/launcher=basic"], "max_seconds=9: needs a launcher of regbench"),
        (["optimizer.lr=interval(0.1,0.01)"], "optimizer.lr=interval(0.1,0.01)"),
        (["optimizer.lr=range(1,0)"], "holds no number"),
    ],
    ids=lambda value: "" if isinstance(value, list) else value,
)
def test_a_mistake_is_one_line_and_nothing_is_trained(train: Any, words: list[str], message: str) -> None:
    given = {word.partition("=")[0] for word in words}
    ended = train(*SEARCH, *(word for word in TINY if word.partition("=")[0] not in given), *words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert message in ended.err
    assert not list(Path().iterdir())


def settings_of(**settings: Any) -> Settings:
    values = {"n_trials": 6, "batch": 4, "sampler": "tpe", "metric": "val_loss", "pruner": "none", "warmup": 0}
    return check({**values, "seed": 0, "storage": None, **settings})


def a_search(tmp_path: Path, **settings: Any) -> Any:
    """A search of a rate and a share, as one of its starts has it."""
    from regbench.sweep.space import Space
    from regbench.sweep.trials import Trials

    dimensions = {"optimizer.lr": FloatDistribution(1e-4, 1e-1), "dropout": FloatDistribution(0, 0.9)}
    return Trials(tmp_path / "study", "study", settings_of(**settings), Space(dimensions, []))


def test_samplers_and_pruners_have_their_names_of_optuna() -> None:
    named = settings_of(sampler="GPSampler", pruner="HyperbandPruner")
    assert (named.sampler, named.pruner) == ("gp", "hyperband")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("sampler", "tpee", "must be one of tpe, random, qmc, cmaes, gp. Did you mean 'tpe'?"),
        (
            "pruner",
            "hyperbnad",
            "must be one of median, hyperband, successive_halving, none. Did you mean 'hyperband'?",
        ),
    ],
)
def test_a_wrong_name_is_told_the_nearest(key: str, value: str, expected: str) -> None:
    with pytest.raises(UserError) as raised:
        settings_of(**{key: value})
    assert str(raised.value) == f"hydra.sweeper.{key}={value}: {expected}"


def test_a_sampler_whose_package_is_missing_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regbench.sweep.sampling.find_spec", lambda name: None)
    message = "hydra.sweeper.sampler=cmaes: the package cmaes is not installed. Install it with: "
    with pytest.raises(UserError, match=f"^{message}"):
        a_search(tmp_path, sampler="cmaes")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_two_starts_share_the_trials(tmp_path: Path, sampler: str) -> None:
    one, other = a_search(tmp_path, sampler=sampler), a_search(tmp_path, sampler=sampler)
    asked = one.ask([]) + other.ask([])
    assert sorted(asked) == list(range(6))
    assert len({trial.params["optimizer.lr"] for trial in one.all()}) == 6, "none is asked twice"
    assert other.begun() == asked, "each start can wait for the other's"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["qmc", "gp", "cmaes"])
def test_a_sampler_asks_for_no_trial_twice_and_searches_near_the_best(
    tmp_path: Path, sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes", reason="pip install 'regbench[optuna]'")
    from regbench.sweep.storage import opened

    settings = {"storage": f"journal:{tmp_path / 'optuna.log'}", "sampler": sampler, "n_trials": 16, "batch": 12}
    one, other = a_search(tmp_path, **settings), a_search(tmp_path, **settings)
    study = opened(settings["storage"], one.name, "minimize")
    for number in one.ask([]):
        study.tell(number, (one.all()[number].params["dropout"] - 0.6) ** 2)
    other.ask([])
    shares = [trial.params["dropout"] for trial in one.all()]
    assert len(set(shares)) == 16
    assert capsys.readouterr().err == ""
    if sampler == "gp":
        assert max(abs(share - 0.6) for share in shares[12:]) < max(abs(share - 0.6) for share in shares[:12])
    if sampler == "qmc":
        assert max(b - a for a, b in itertools.pairwise(sorted(shares))) < 0.12, "it leaves no gaps"


def test_starts_share_the_trials_by_a_journal_in_a_shared_folder(tmp_path: Path) -> None:
    storage = f"journal:{tmp_path / 'optuna.log'}"
    one, other = a_search(tmp_path, storage=storage), a_search(tmp_path, storage=storage)
    assert one.ask([]) + other.ask([]) == list(range(6))
    one.prune(0)
    other.prune(0)
    assert (one.done(), other.begun()) == (1, [1, 2, 3, 4, 5])
    assert {path.name for path in tmp_path.iterdir()} == {"optuna.log"}, "no lock is left, and no database made"


def test_a_file_that_is_no_journal_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("one\ntwo\n")
    with pytest.raises(UserError, match=r"notes\.txt: cannot be opened \(the file is no journal of Optuna\)"):
        a_search(tmp_path, storage=f"journal:{file}")
    assert file.read_text() == "one\ntwo\n"


@pytest.mark.slow
def test_a_search_in_a_journal_resumes(train: Callable[..., Any]) -> None:
    words = [*SEARCH, RATES, *TINY, "hydra.sweeper.storage='journal:optuna.log'"]
    assert train(*words, "hydra.sweeper.n_trials=2").code == 0
    ended = train(*words, "hydra.sweeper.n_trials=3")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("3 trials: 2 done already, 1 still to run\n")
    assert "3 complete" in ended.out
    assert len(records()) == 3
    assert not list(Path().rglob("optuna.db"))


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_trial_that_is_given_back_is_the_next_that_is_asked_for(tmp_path: Path, kind: str) -> None:
    storage = f"{kind}:{'///' * (kind == 'sqlite')}{tmp_path / 'optuna.log'}"
    whole, one, other = (a_search(tmp_path / "whole"), *[a_search(tmp_path, storage=storage) for _ in range(2)])
    for number in one.ask([]):
        one.give_back(number)
    assert one.table()[-1] == "4 waiting"
    assert one.begun() == []
    assert other.ask([]) + other.ask([]) == whole.ask([]) + whole.ask([]) == list(range(6))
    assert [trial.params for trial in one.all()] == [trial.params for trial in whole.all()]


@pytest.mark.slow
def test_trials_that_the_launcher_refuses_do_not_stay_begun(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from regbench.sweep import search

    words = [*SEARCH, RATES, *TINY, "hydra.sweeper.n_trials=2"]
    with monkeypatch.context() as patch:
        patch.setattr(search, "train", lambda *_: (_ for _ in ()).throw(UserError("sbatch: error: no")))
        refused = train(*words)
    assert (refused.code, refused.err) == (2, "error: sbatch: error: no\n")
    before = trials()
    assert [trial.state for trial in before] == [TrialState.WAITING] * 2
    assert train(*words).out.startswith("2 trials: 2 still to run\n")
    assert [(trial.state, trial.params) for trial in trials()] == [(TrialState.COMPLETE, t.params) for t in before]


def test_starts_that_count_at_once_ask_for_no_more_than_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = a_search(tmp_path), a_search(tmp_path)
    monkeypatch.setattr(other, "done", lambda: -4)  # what it counted before the first start asked
    assert (one.ask([]), other.ask([])) == ([0, 1, 2, 3], [4, 5])
    assert one.table()[-1] == "6 running", "what is given back is no failure"
    other.retry_failed()
    assert [trial.state for trial in one.all()].count(TrialState.WAITING) == 0


def test_a_trial_may_be_told_by_the_other_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = a_search(tmp_path), a_search(tmp_path)
    number, *_ = one.ask([])
    seen = other.all()
    one.prune(number)
    monkeypatch.setattr(other, "all", lambda: seen)  # as it looked a moment before
    monkeypatch.setattr("regbench.records.epochs.read", lambda path: [{"epoch": 1.0, "val_loss": 0.5}])
    figures = {key: {"val_loss": 0.5} for key in ("last", "best_val")}
    other.tell(number, RunStatus(tmp_path, {"status": "completed", "result": figures}))
    assert one.all()[number].state == TrialState.PRUNED


@pytest.mark.slow
def test_a_search_draws_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    whole, parts = a_search(tmp_path / "whole", batch=6), tmp_path / "parts"
    whole.ask([])
    for batch in (1, 2, 3):
        a_search(parts, batch=batch).ask([])
    assert [trial.params for trial in a_search(parts).all()] == [trial.params for trial in whole.all()]


def test_a_database_that_another_start_makes_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlalchemy

    from regbench.sweep import storage

    make, calls = optuna.create_study, []

    def first_too_early(**arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise sqlalchemy.exc.IntegrityError("UNIQUE constraint failed: alembic_version", None, Exception())
        return make(**arguments)

    monkeypatch.setattr(optuna, "create_study", first_too_early)
    monkeypatch.setattr(storage, "_SECONDS", 0)
    assert a_search(tmp_path).all() == []
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("postgresql+psycopg2://host/name", "psycopg2", "psycopg2-binary"),
        ("postgresql+psycopg://host/name", "psycopg", "'psycopg[binary]'"),
        ("mysql+pymysql://host/name", "pymysql", "pymysql"),
    ],
)
def test_without_a_databases_driver_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as raised:
        a_search(tmp_path, storage=url)
    start = (
        f"hydra.sweeper.storage={url.partition(':')[0]}://…: the driver {module} is not installed. Install it with: "
    )
    assert str(raised.value) == f"{start}{sys.executable} -m pip install {package}"


def test_without_optuna_it_says_what_to_install(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("optuna", "optuna.distributions"):
        monkeypatch.setitem(sys.modules, module, None)
    for module in ("search", "space"):
        monkeypatch.delitem(sys.modules, f"regbench.sweep.{module}", raising=False)
    ended = train(*SEARCH, RATES, *TINY)
    assert ended.code == 2
    assert f"Install it with: {sys.executable} -m pip install " in ended.err and "'optuna>=" in ended.err


# Pruning

FIGURES = [  # of val_loss, epoch by epoch: five trials that set the median, then others
    [0.9, 0.5, 0.3],
    [0.8, 0.6, 0.4],
    [0.7, 0.7, 0.5],
    [0.6, 0.4, 0.2],
    [0.5, 0.3, 0.1],
    [0.75, 0.45, 0.2],  # worse than the median at first
    [0.65, 0.66, 0.2],  # worse after the second epoch
    [0.65, 0.25, 0.5],  # never: its best counts
]


def rows(losses: list[float]) -> list[dict[str, float]]:
    return [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, 1)]


def answers(pruning: Pruning, losses: list[float]) -> list[bool]:
    """After each epoch of a run that nothing happens to."""
    return [pruning(rows(losses)[:end]) for end in range(1, len(losses) + 1)]


def median(others: list[Any], warmup: int = 0, metric: str = "val_loss") -> Pruning:
    settings = settings_of(pruner="median", warmup=warmup, metric=metric)
    return Pruning(settings, 3, "study", len(others), others)


@pytest.fixture
def others() -> list[Any]:
    study = optuna.create_study()
    for losses in FIGURES[:5]:
        study.add_trial(
            optuna.trial.create_trial(value=min(losses), intermediate_values=dict(enumerate(losses, start=1)))
        )
    return study.get_trials()


@pytest.mark.parametrize(
    ("losses", "warmup", "expected"),
    [
        (FIGURES[5], 0, [True, False, False]),
        (FIGURES[5], 1, [False, False, False]),
        (FIGURES[6], 0, [False, True, False]),
        (FIGURES[7], 0, [False, False, False]),
    ],
)
def test_a_trial_worse_than_the_median_by_then_is_pruned(
    others: list[Any], losses: list[float], warmup: int, expected: list[bool]
) -> None:
    assert answers(median(others, warmup), losses) == expected


def test_whoever_asks_again_gets_the_same_answer(others: list[Any]) -> None:
    for losses in FIGURES[5:]:
        expected = answers(median(others), losses)
        for end in (1, 2, 3):
            assert median(others)(rows(losses)[:end]) == expected[end - 1], "after a kill"


def test_an_accuracy_is_pruned_from_below(others: list[Any]) -> None:
    pruning = median(others, metric="val_acc")
    assert pruning([{"epoch": 1, "val_acc": 0.69}])
    assert not median(others, metric="val_acc")([{"epoch": 1, "val_acc": 0.71}])


def test_few_trials_prune_none(others: list[Any]) -> None:
    assert not median(others[:4])(rows([9.0]))


def halving(others: list[Any], pruner: str = "successive_halving", number: int = 9, warmup: int = 0) -> Pruning:
    return Pruning(settings_of(pruner=pruner, warmup=warmup), 9, "study", number, others)


def trial_of(*losses: float, state: TrialState = TrialState.COMPLETE) -> Any:
    value = losses[-1] if state == TrialState.COMPLETE else None
    return optuna.trial.create_trial(state=state, value=value, intermediate_values=dict(enumerate(losses, start=1)))


HALVED = [trial_of(0.5, *[0.4] * 8), *(trial_of(0.5 + 0.1 * n, state=TrialState.PRUNED) for n in range(1, 8))]


@pytest.mark.parametrize(
    ("losses", "warmup", "expected"),
    [
        ([0.55, 0.5], 0, [False, False]),  # among the best quarter after the first epoch: the next question is later
        ([0.65, 0.5], 0, [True, False]),
        ([0.65, 0.5], 1, [False, True]),  # the first rung is after the warmup
        ([0.1, 0.1, 0.1, 0.9], 0, [False, False, False, True]),  # worse than the one that came to epoch 4
    ],
)
def test_successive_halving_keeps_the_best_quarter_of_each_rung(
    losses: list[float], warmup: int, expected: list[bool]
) -> None:
    assert answers(halving(HALVED, warmup=warmup), losses) == expected


def test_hyperband_divides_the_trials_by_their_numbers() -> None:
    """A trial that is worse than all others is pruned after the first epoch, after a later one, or never."""
    ends = []
    for number in range(20):
        others = [trial_of(*[0.1] * 9) for _ in range(number)]
        told = answers(halving(others, "hyperband", number), [0.9] * 9)
        ends.append(told.index(True) + 1 if True in told else 0)
    assert set(ends[10:]) == {1, 3, 9}, "brackets start at the powers of 3"


def test_trials_that_are_not_over_change_no_answer() -> None:
    """Those of its own batch have numbers only; those of another start may still train."""
    running = trial_of(0.01, state=TrialState.RUNNING)
    assert answers(halving([*HALVED, running]), [0.55, 0.5]) == [False, False]


PRUNED_SEARCH = [
    *SEARCH[:2],
    *TINY[:3],
    TINY[-1],
    "epochs=3",
    "optimizer=sgd",
    "optimizer.lr=tag(log,interval(1e-4,1))",
    "hydra.sweeper.sampler=random",
    "hydra.sweeper.n_trials=10",
    "hydra.sweeper.batch=5",
]


@pytest.mark.slow
def test_pruned_trials_stop_early_and_are_no_failure(train: Callable[..., Any]) -> None:
    ended = train(*PRUNED_SEARCH)
    assert (ended.code, ended.err) == (0, "")
    found = trials()
    assert [trial.state for trial in found[:5]] == [TrialState.COMPLETE] * 5
    pruned = [trial for trial in found if trial.state == TrialState.PRUNED]
    assert pruned, "the seed of the search is fixed"
    stopped = [record for record in records() if record["status"] == "interrupted"]
    epochs = [trial.last_step for trial in pruned]
    assert sorted(record["error"] for record in stopped) == sorted(
        f"pruned by the search after epoch {e}" for e in epochs
    )
    assert all(record["result"] is None for record in stopped)
    marks = {record["search"]["trial"]: record["search"] for record in records()}
    assert {number: mark["state"] for number, mark in marks.items()} == {t.number: t.state.name.lower() for t in found}
    assert {mark["name"] for mark in marks.values()} == {study()}
    assert f"{10 - len(pruned)} complete, {len(pruned)} pruned" in ended.out
    for trial in found[5:]:
        figures = [{"epoch": epoch, "val_loss": loss} for epoch, loss in sorted(trial.intermediate_values.items())]
        asked = [median(found[:5])(figures[:end]) for end in range(1, min(len(figures), 2) + 1)]
        assert asked == [False] * (len(asked) - 1) + [trial.state == TrialState.PRUNED]

    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("run.json")}
    again = train(*PRUNED_SEARCH)
    assert again.code == 0
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("run.json")} == before

    rate = next(record["config"]["optimizer"]["lr"] for record in stopped)
    ended = train(*TINY[:3], TINY[-1], "epochs=3", "optimizer=sgd", f"optimizer.lr={rate}")
    assert ended.code == 0
    assert "resuming after epoch" in ended.out
    assert sum(record["status"] == "interrupted" for record in records()) == len(pruned) - 1


@pytest.mark.slow
def test_a_search_that_was_killed_prunes_what_it_would_have(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    train(*PRUNED_SEARCH, "study=whole")
    decide = Recording.prune
    calls = []

    def stop(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 6:  # of the second batch, between its first epoch and what follows from that
            raise KeyboardInterrupt
        decide(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Recording, "prune", stop)
        assert train(*PRUNED_SEARCH, "study=killed").code == 130
    assert train(*PRUNED_SEARCH, "study=killed").code == 0
    whole, killed = (
        [(t.params, t.state, t.intermediate_values, t.value) for t in trials(f"runs/{study}/optuna.db")]
        for study in ("whole", "killed")
    )
    assert whole == killed


@pytest.mark.slow
@pytest.mark.stress
def test_workers_prune_what_one_process_prunes(train: Any) -> None:
    train(*PRUNED_SEARCH, "study=here")
    train(*PRUNED_SEARCH, "study=there", "hydra/launcher=processes", "hydra.launcher.n_jobs=2")
    here, there = (
        [(t.params, t.state, t.last_step) for t in trials(f"runs/{study}/optuna.db")] for study in ("here", "there")
    )
    assert here == there


@pytest.mark.slow
def test_trials_whose_values_do_not_fit_one_another_are_done(train: Any) -> None:
    settings = ["hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=6", "hydra.sweeper.batch=6"]
    ended = train(*SEARCH[:2], *settings, *TINY[1:], "model.hidden=[6],[8]", "norm=group", "norm.groups=3,4")
    assert ended.code == 0
    states = [trial.state for trial in trials()]
    assert len(states) == 6
    assert ended.err.count("warning: trial ") == states.count(TrialState.PRUNED) > 0, "the seed of the search is fixed"
    progress = [line for line in ended.out.splitlines() if " done, 0 failed" in line]
    assert progress[-1].startswith("6 of 6 done")


@pytest.mark.slow
def test_no_pruning_if_so_wished(train: Any) -> None:
    ended = train(*PRUNED_SEARCH, "hydra.sweeper.pruner=none")
    assert ended.code == 0
    assert {trial.state for trial in trials()} == {TrialState.COMPLETE}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["zip=norm,init"], "hydra.sweeper.zip: belongs to a grid, and hydra/sweeper=optuna searches"),
        (["--plan"], "--plan: belongs to a grid, and hydra/sweeper=optuna searches"),
        (["where=nrom == batch"], "no key 'nrom' in the config. Did you mean 'norm'"),
        (["where=norm == batch"], "where=norm == batch: is false for each choice and both ends of each interval"),
        (["hydra.sweeper.storage=foo"], "hydra.sweeper.storage=foo: cannot be opened"),
        (["hydra.sweeper.storage='sqlite:////nonexistent/x.db'"], "/nonexistent/x.db: cannot be opened"),
        (["hydra.sweeper.storage='journal:none/x.log'"], "journal:none/x.log: cannot be opened (No such file or"),
        (["hydra.sweeper.storage='journal:.'"], "journal:.: cannot be opened (Is a directory)"),
        (["hydra.sweeper.storage='journal:'"], "journal:: cannot be opened (No such file or directory)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_search_cannot_do_is_one_line(train: Callable[..., Any], words: list[str], message: str) -> None:
    ended = train(*SEARCH, "norm=none,layer", "init=kaiming,xavier", *TINY, *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended.err
    assert message in ended.err
    assert not records()


@pytest.mark.slow
def test_a_search_trains_only_what_meets_the_conditions(train: Callable[..., Any]) -> None:
    ended = train(*SEARCH, "norm=none,layer", "where=norm == layer", "hydra.sweeper.n_trials=4", *TINY)
    assert (ended.code, ended.err) == (0, "")
    assert {record["config"]["norm"]["name"] for record in records()} == {"layer"}
