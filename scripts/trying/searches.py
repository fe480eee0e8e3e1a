"""Several starts of one search at once, and whether they shared its trials."""

import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from trying.sweeps import TINY, Sweep

TRIALS = 12
_STATES = ("COMPLETE", "PRUNED")


@dataclass(frozen=True)
class Seen:
    """What several starts of a search did: how many ended in which way, and what is in the storage."""

    codes: Sequence[int]
    whole_tables: int
    trials: int
    distinct: int
    seconds: float
    errors: str

    @property
    def is_good(self) -> bool:
        """Whether all starts ended well with the whole table, and no trial was asked twice."""
        whole = self.whole_tables == len(self.codes)
        return not any(self.codes) and whole and self.trials == self.distinct == TRIALS

    def __str__(self) -> str:
        codes = " ".join(map(str, self.codes))
        tables = f"{self.whole_tables} of {len(self.codes)} with the whole table"
        return (
            f"rc {codes}; {tables}; {self.trials} trials, {self.distinct} distinct; {self.seconds:.0f} s{self.errors}"
        )


def words(storage: str | None = None) -> list[str]:
    """Write the command of a search."""
    place = [f"hydra.sweeper.storage='{storage}'"] * bool(storage)
    values = ["optimizer.lr=tag(log,interval(1e-4,1e-1))", "dropout=interval(0,0.5)", "epochs=1"]
    return ["hydra/sweeper=optuna", f"hydra.sweeper.n_trials={TRIALS}", "hydra.sweeper.pruner=none", *place, *values]


def as_commands(folder: Path, starts: int, storage: str | None = None) -> Seen:
    """Start whole commands at once."""
    begin = time.monotonic()
    sweeps = [Sweep(folder, *words(storage)) for _ in range(starts)]
    codes = [sweep.ended() for sweep in sweeps]
    return _seen(folder, storage, codes, [sweep.out for sweep in sweeps], [sweep.err for sweep in sweeps], begin)


def as_forks(folder: Path, starts: int, storage: str | None = None) -> Seen:
    """Start copies of this process, which has imported all that a search needs: they begin at the same moment."""
    import regbench.cli.train
    import regbench.experiment.train
    import regbench.sweep.search  # noqa: F401

    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    given = {word.partition("=")[0] for word in words()}
    tiny = [word for word in TINY if word.partition("=")[0] not in given]
    children = [_fork(folder, number, [*words(storage), *tiny]) for number in range(starts)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    out, err = ([(folder / f"{name}-{number}").read_text() for number in range(starts)] for name in ("out", "err"))
    return _seen(folder, storage, codes, out, err, begin)


def as_asking(folder: Path, starts: int, storage: str | None = None) -> Seen:
    """Start copies of this process that ask for trials and tell figures, and train nothing."""
    import regbench.sweep.trials
    import regbench.training.trainer  # noqa: F401 - imported once, not by each copy

    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    children = [_in_fork(folder, number, lambda: _ask_all(folder, storage)) for number in range(starts)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    out, err = ([(folder / f"{name}-{number}").read_text() for number in range(starts)] for name in ("out", "err"))
    return _seen(folder, storage, codes, out, err, begin)


def _ask_all(folder: Path, storage: str | None) -> None:
    """Do what a start of a search does with its storage."""
    from optuna.distributions import FloatDistribution

    from regbench.records.run_status import RunStatus
    from regbench.sweep.search_settings import check
    from regbench.sweep.space import Space
    from regbench.sweep.trials import Trials

    named = {"n_trials": TRIALS, "batch": 4, "sampler": "tpe", "metric": "val_loss", "pruner": "none"}
    settings = check({**named, "warmup": 0, "seed": 0, "storage": storage})
    space = Space({"dropout": FloatDistribution(0, 0.5), "optimizer.lr": FloatDistribution(1e-4, 1e-1)}, [])
    trials = Trials(folder / "runs/default", "default", settings, space)
    mine: set[int] = set()
    while asked := trials.ask(mine) or [number for number in trials.begun() if number not in mine]:
        mine |= set(asked)
        for number in asked:
            figures = {key: {"val_loss": trials.all()[number].params["dropout"]} for key in ("last", "best_val")}
            trials.tell(number, RunStatus(folder, {"status": "completed", "result": figures}))
    print("\n".join(trials.table()))


def _fork(folder: Path, number: int, arguments: Sequence[str]) -> int:
    """Start a search in a copy of this process; return its id."""

    def search() -> None:
        from regbench.cli.main import main

        sys.argv = ["regbench", "train", "-m", *arguments]
        main()

    return _in_fork(folder, number, search)


def _in_fork(folder: Path, number: int, act: Callable[[], None]) -> int:
    """Do something in a copy of this process, in a folder where its words are kept; return its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.chdir(folder)
        for name, descriptor in (("out", 1), ("err", 2)):
            os.dup2(os.open(f"{name}-{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), descriptor)
        act()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else bool(error.code)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _seen(
    folder: Path, storage: str | None, codes: Sequence[int], out: Sequence[str], err: Sequence[str], begin: float
) -> Seen:
    place = storage or f"sqlite:///{folder}/runs/default/optuna.db"
    (name,) = optuna.study.get_all_study_names(place)
    trials = optuna.load_study(study_name=name, storage=place).get_trials()
    done = [trial for trial in trials if trial.state.name in _STATES]
    whole = sum(bool(re.search(rf"^{TRIALS} complete$", text, re.MULTILINE)) for text in out)
    last = "".join(f"\n    {text.strip().splitlines()[-1]}" for text in err if text.strip())
    seconds = time.monotonic() - begin
    return Seen(codes, whole, len(done), len({str(trial.params) for trial in done}), seconds, last)
