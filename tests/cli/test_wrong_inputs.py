"""Wrong inputs, each with the exact line that answers it: wrong_inputs.txt holds them as a terminal shows them."""

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from regbench.cli.main import main
from regbench.training.trainer import Trainer

_QUICK = "(nothing is composed)"  # Hydra takes 0.2 s to compose a config, on 2 cores of an AMD Zen 4
_HEAD = "# @package _global_\n"
_SWEEP = f"{_HEAD}hydra:\n  mode: MULTIRUN\n  sweeper:\n"
FILES = {
    "experiment/tab.yaml": f"{_HEAD}epochs: 3\n\tseed: 1\n",
    "experiment/norm.yaml": f"{_HEAD}norm: batch\n",
    "experiment/key.yaml": f"{_HEAD}epoch: 3\n",
    "experiment/value.yaml": f"{_HEAD}epochs: 3\noptimizer: {{lr: fast}}\n",
    "experiment/option.yaml": f"{_HEAD}defaults:\n  - override /norm: bacth\n",
    "experiment/slash.yaml": f"{_HEAD}defaults:\n  - override norm: batch\n",
    "experiment/override.yaml": f"{_HEAD}defaults:\n  - /norm: batch\n",
    "experiment/package.yaml": "epochs: 3\n",
    "experiment/mark.yaml": f"\xef\xbb\xbf{_HEAD}epochs: 2\n",
    "experiment/study.yaml": f"{_HEAD}study: mine\n",
    "experiment/float.yaml": f"{_HEAD}runtime: {{study: 1e3}}\n",
    "optimizer/twice.yaml": "name: sgd\nlr: 0.1\nlr: 0.2\n",
    "optimizer/bracket.yaml": "name: sgd\nlr: [0.1\n",
    "optimizer/indented.yaml": "name: sgd\n  lr: 0.1\n",
    "optimizer/braces.yaml": "name: sgd\nlr: {{ 0.1 }}\n",
    "optimizer/empty.yaml": "",
    "optimizer/listed.yaml": "- sgd\n",
    "optimizer/ending.yml": "name: sgd\n",
    "optimizer/latin.yaml": "# gr\xfcn\nname: sgd\n",
    "study/mode.yaml": f"{_HEAD}hydra: {{mode: multirun}}\n",
    "study/no_mode.yaml": f"{_HEAD}hydra: {{sweeper: {{params: {{norm: 'none,batch'}}}}}}\n",
    "study/param.yaml": f"{_SWEEP}    param: {{norm: 'none,batch'}}\n",
    "study/text.yaml": f"{_SWEEP}    params: {{norm: '[none,batch]'}}\n",
    "study/widths.yaml": f"{_SWEEP}    params: {{model.hidden: [64, 64]}}\n",
    "study/zip.yaml": f"{_SWEEP}    params: {{norm: 'none,batch'}}\n    zip: norm\n",
}


@dataclass(frozen=True)
class Wrong:
    """What is typed, and what answers it."""

    typed: str
    line: str
    quick: bool

    @property
    def words(self) -> list[str]:
        """The arguments; characters that cannot be seen are written as codes in the file."""
        typed = re.sub(r"\\(?:[rt]|x\w\w|u\w{4})", lambda code: code[0].encode().decode("unicode_escape"), self.typed)
        return shlex.split(typed)[1:]


def _read() -> list[Wrong]:
    text = Path(__file__).with_name("wrong_inputs.txt").read_text("utf-8")
    sections = re.findall(r"^# (.*)\n((?:[^#\n].*\n)+)", text, re.MULTILINE)
    pairs = [(title, pair) for title, body in sections for pair in re.findall(r"^\$ (.*)\n(.*)\n", body, re.MULTILINE)]
    return [Wrong(typed, line, title.endswith(_QUICK)) for title, (typed, line) in pairs]


WRONG = _read()
SAMPLE = [wrong for wrong in WRONG if wrong.quick][::7]  # for every run of the tests
REAL = WRONG[::64]  # in processes of their own


def _cases() -> list[object]:
    marks = [() if wrong in SAMPLE else pytest.mark.slow for wrong in WRONG]
    return [pytest.param(wrong, marks=mark, id=wrong.typed) for wrong, mark in zip(WRONG, marks, strict=True)]


@pytest.fixture
def files(own_process: None) -> list[Path]:
    """Files of the user's with mistakes in them, below the current folder."""
    for name, text in FILES.items():
        path = Path("mine", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    return _present()


def _present() -> list[Path]:
    return sorted(Path().rglob("*"))


def test_there_are_many() -> None:
    assert len(WRONG) == len({wrong.typed for wrong in WRONG}) >= 150
    assert 15 <= len(SAMPLE) <= 30
    assert len(REAL) >= 4


@pytest.mark.parametrize("wrong", _cases())
def test_a_wrong_input_is_answered_by_one_line(wrong, files, capfd, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["regbench", *wrong.words])
    monkeypatch.setattr(Trainer, "epochs", None)  # what is not refused must not train for minutes
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    output = capfd.readouterr()
    assert output.err == f"{wrong.line}\n"
    assert (ended.value.code, output.out) == (2, "")
    assert _present() == files, "nothing is written"


@pytest.mark.slow
@pytest.mark.parametrize("wrong", REAL, ids=lambda wrong: wrong.typed)
def test_a_wrong_input_of_a_real_process(wrong, files):
    command = [sys.executable, "-m", "regbench", *wrong.words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{wrong.line}\n")
    assert _present() == files, "nothing is written"


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.typed)
def test_a_suggestion_is_not_what_was_given_and_comes_without_a_list(wrong):
    suggested = re.findall(r"Did you mean '([^']*)'", wrong.line)
    assert not [name for name in suggested if name in wrong.words or f"{name}=" in " ".join(wrong.words).split()]
    assert not (suggested and "Allowed: " in wrong.line.partition("Did you mean")[2])
    listed = re.search(r"Allowed: ([\w, -]+)", wrong.line)
    assert not listed or len(listed[1].split(", ")) <= 10
