"""An injected failure at each file operation of a sweep's life, and of the commands that read it or change it.

Nothing finished is lost, the same command ends as if nothing had happened, and what is wrong is said in one line.
"""

import csv
import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from faults import FAULTS, STREAMS, Forks, Trial

TINY = "model.hidden=[8] data.train_size=100 data.val_size=100 runtime.threads=1 study=s"
SWEEP = f"train -m {TINY} epochs=2 seed=0,1"
ROUNDS = f"train -m {TINY} epochs=1 norm=none,batch --until-decided --max-seeds 6"
OLD = "of an earlier command\n"
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """A command, the state of the folder before it, and the file that it writes, if any."""

    state: str
    words: str
    output: str | None = None

    @property
    def trains(self) -> bool:
        """Whether runs come from it."""
        return self.words.startswith("train") and "--plan" not in self.words


STORIES = (
    Story("empty", SWEEP),
    Story("half", SWEEP),
    Story("done", f"{SWEEP} force=true"),
    Story("half", f"{SWEEP} --plan"),
    Story("empty", f"{SWEEP} tracker=tensorboard"),
    Story("empty", ROUNDS),
    Story("done", "note runs/s mine --tag good"),
    Story("done", "rm --yes runs/s"),
    Story("done", "ls"),
    Story("done", "ls --studies"),
    Story("done", "summary --csv table.csv", "table.csv"),
    Story("done", "watch --once"),
    Story("done", "show {run}"),
    Story("done", "diff {run} {other}"),
    Story("done", "explain seed=0"),
    Story("done", "curves"),
    Story("done", "reproduce {run}"),
    Story("done", "report -o report.html", "report.html"),
    Story("done", "report --to md -o report.md", "report.md"),
    Story("done", "plot curves -o curves.svg", "curves.svg"),
    Story("done", "export {run} --to safetensors -o net.safetensors", "net.safetensors"),
    Story("done", "export --to tensorboard --store events"),
)


def outcome(folder: Path) -> Outcome:
    """What the finished runs below a folder are, but for times."""
    finished = {}
    for path in sorted(folder.glob("runs/*/*")):
        try:
            record = json.loads((path / "run.json").read_text())
        except OSError:
            continue
        if record["status"] != "completed":
            continue
        rows = list(csv.DictReader((path / "metrics.csv").read_text().splitlines()))
        result = {key: value for key, value in record["result"].items() if "seconds" not in key}
        figures = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
        bits = [(path / f"{name}.safetensors").read_bytes() for name in ("model", "predicted")]
        finished[path.name] = [result, figures, *bits]
    return finished


class Place:
    """Folders in known states, and commands in copies of them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._forks = folder, Forks()
        for name in ("home", "tmp"):
            (folder / "empty" / name).mkdir(parents=True)
        self._make("half", "empty", SWEEP.replace("seed=0,1", "seed=0"))
        operations = self.run("half", SWEEP).seen
        (second,) = [name for name in operations if name.startswith("write") and name.endswith("metrics.csv #2")]
        self._make("half", "half", SWEEP, second)
        self._make("done", "half", SWEEP)
        self.finished = outcome(folder / "done")
        names = sorted(self.finished)
        self.names = {"run": f"runs/s/{names[0]}", "other": f"runs/s/{names[1]}"}
        assert (len(outcome(folder / "half")), len(names)) == (1, 2)

    def close(self) -> None:
        self._forks.close()

    @property
    def now(self) -> Path:
        """Where the last command ran."""
        return self._folder / "now"

    def set_up(self, state: str) -> None:
        shutil.rmtree(self.now, ignore_errors=True)
        shutil.copytree(self._folder / state, self.now)

    def again(self, words: str, **options: Any) -> Trial:
        """Run a command where the last one ran."""
        return self._forks.run(self.now, *words.format(**getattr(self, "names", {})).split(), **options)

    def run(self, state: str, words: str, **options: Any) -> Trial:
        """Run a command in a copy of a state."""
        self.set_up(state)
        return self.again(words, **options)

    def _make(self, name: str, state: str, words: str, target: str | None = None) -> None:
        trial = self.run(state, words, target=target, fault="a kill")
        assert trial.code == (-9 if target else 0), trial
        shutil.rmtree(self._folder / name, ignore_errors=True)
        self.now.rename(self._folder / name)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("faults"))
    yield place
    place.close()


def well_said(trial: Trial) -> bool:
    """One line of an error, or a sweep's list of runs that failed; no traceback anywhere."""
    lines = trial.err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    fine = all(line.startswith(("error: ", "warning: ", "left: ")) for line in lines) and "Traceback" not in trial.out
    told = len(errors) == 1 if trial.code == 2 else errors or lines or "not completed" in trial.out
    return fine and len(errors) <= 1 and trial.code in (0, 1, 2) and bool(told or trial.code == 0)


def stood(folder: Path) -> dict[str, bytes]:
    """All files of runs."""
    paths = (path for path in (folder / "runs").rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class Fault:
    """One story in which one operation fails."""

    def __init__(self, place: Place, story: Story, target: str, fault: str, whole: Outcome, wanted: bytes) -> None:
        self.place, self.story, self.whole, self.wanted = place, story, whole, wanted
        place.set_up(story.state)
        if story.output:
            (place.now / story.output).write_text(OLD)
        self.before, self.files = outcome(place.now), stood(place.now)
        self.trial = place.again(story.words, target=target, fault=fault)
        self.told = f"{story.words}: {fault} at {target}: {self.trial}"

    def check(self) -> None:
        """Raise AssertionError unless all is as promised."""
        killed = self.trial.code == -9
        assert killed or well_said(self.trial), self.told
        if self.story.trains:
            self._check_trained()
        elif self.story.words.startswith("rm"):
            kept = outcome(self.place.now)
            assert all(self.before[name] == kept[name] for name in kept), self.told
            ended = self.place.again(self.story.words)
            assert not outcome(self.place.now) and well_said(ended), f"{self.told}, then {ended}"
        elif not self.story.words.startswith("note"):
            assert stood(self.place.now) == self.files, self.told
        if self.story.output and not killed:
            left = (self.place.now / self.story.output).read_bytes()
            is_whole = left[-20:] == self.wanted[-20:] and len(left) > 0.9 * len(self.wanted)
            is_whole |= "unreadable" in self.trial.out + self.trial.err  # and of the others
            assert left == OLD.encode() or is_whole, self.told
            assert self.trial.code == 0 or left == OLD.encode(), self.told
            assert not list(self.place.now.glob(f".{self.story.output}*")), self.told

    def _check_trained(self) -> None:
        kept = outcome(self.place.now)
        if "force" not in self.story.words:
            assert all(kept.get(name) == runs for name, runs in self.before.items()), self.told
        stamps = {name: self._stamp(name) for name in kept}
        ended = self.place.again(self.story.words.replace(" force=true", ""))
        assert ended.code == 0 and well_said(ended), f"{self.told}, then {ended}"
        assert outcome(self.place.now) == self.whole, f"{self.told}, then other bits"
        assert all(self._stamp(name) == stamp for name, stamp in stamps.items()), f"{self.told}, then trained again"

    def _stamp(self, name: str) -> int:
        return (self.place.now / "runs/s" / name / "model.safetensors").stat().st_mtime_ns


def undisturbed(place: Place, story: Story) -> tuple[list[str], Outcome, bytes]:
    """The operations of a story, the runs that it leaves, and what it writes."""
    trial = place.run(story.state, story.words)
    assert trial.code == 0 and well_said(trial), trial
    wanted = (place.now / story.output).read_bytes() if story.output else b""
    return trial.seen, outcome(place.now), wanted


@pytest.mark.slow
def test_a_failure_in_a_sweep_loses_nothing_that_is_finished(place):
    for number, parts in ((1, (0.4, 0.7)), (6, (0.6, 0.9)), (7, (0.5, 0.7, 0.9)), (9, (0.5, 0.9))):
        story = STORIES[number]
        seen, whole, wanted = undisturbed(place, story)
        for turn, part in enumerate(parts):
            target, fault = seen[int(part * len(seen))], FAULTS[(number + turn) % len(FAULTS)]
            Fault(place, story, target, fault, whole, wanted).check()


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.state}: {story.words}")
def test_each_failure_at_each_operation(place, story):
    seen, whole, wanted = undisturbed(place, story)
    each = (Fault(place, story, target, fault, whole, wanted) for target in seen for fault in FAULTS)
    failed = [fault.told for fault in each if not _holds(fault)]
    print(f"{len(seen)} operations, {len(seen) * len(FAULTS)} faults, {len(failed)} failed")  # shown by -rP
    assert not failed, "\n".join(failed)


def _holds(fault: Fault) -> bool:
    try:
        fault.check()
    except AssertionError:
        return False
    return True


@pytest.mark.slow
def test_a_stream_that_takes_nothing_is_one_line_or_silence(place):
    for words in ("ls", "summary --csv -", "show {run}", "note runs/nowhere x"):
        for stream, kind in itertools.product(("out", "err"), STREAMS):
            trial = place.run("done", words, **{stream: kind})
            assert trial.code in (0, 1, 2, 141) and len(trial.err.splitlines()) <= 1, f"{words}: {trial}"
            assert not trial.err or trial.err.startswith("error: "), f"{words}: {trial}"
            assert trial.code != 0 or stream == "err" or kind == "closed", f"{words}: {trial}"


@pytest.mark.slow
def test_an_export_that_cannot_be_written_says_so(place):
    story = STORIES[-1]
    seen, *undone = undisturbed(place, story)
    target = [name for name in seen if name.startswith("write events/") and "events.out" in name][-1]
    fault = Fault(place, story, target, "ENOSPC", *undone)
    assert fault.trial.code == 1, fault.told
    fault.check()


ALONE, PLANNED = SWEEP.replace("-m ", "").replace("=0,1", "=1"), f"{SWEEP} --plan"


def check_stream(place: Place, words: str, out: str, err: str) -> None:
    """Train or look while streams take nothing; then the same command ends as if nothing had happened."""
    place.set_up("half")
    before = outcome(place.now)
    trial = place.again(words, out=out, err=err)
    told = f"{words}, out {out or 'open'}, err {err or 'open'}: {trial}"
    assert trial.code in (0, 1, 2, 141) and (out or trial.code == 0), told
    assert "Traceback" not in trial.out + trial.err and len(trial.err.splitlines()) <= 1, told
    if words not in (ALONE, SWEEP):
        assert outcome(place.now) == before, told
        return
    assert trial.code or outcome(place.now) == place.finished, told
    assert outcome(place.now).items() >= before.items(), told
    assert place.again(words).code == 0
    assert outcome(place.now) == place.finished, told


@pytest.mark.slow
def test_a_stream_that_takes_nothing_costs_no_run(place):
    for words, out, err in (
        (ALONE, "full", ""),
        (SWEEP, "closed", "closed"),
        (PLANNED, "full", ""),
        (SWEEP, "", "gone"),
    ):
        check_stream(place, words, out, err)


@pytest.mark.slow
@pytest.mark.stress
@pytest.mark.parametrize("words", [ALONE, SWEEP, PLANNED, "summary"])
def test_no_stream_that_takes_nothing_costs_a_run(place, words):
    for out, err in itertools.product(("", *STREAMS), repeat=2):
        check_stream(place, words, out, err)
