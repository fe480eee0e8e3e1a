"""What would take for ever or end in a traceback is one line before anything is written."""

import sys
from pathlib import Path

import pytest

from golden.records import record, write
from regbench.cli.main import main

WORKERS = ["hydra/launcher=processes", "seed=0,1"]
LIMITS = {
    "a range without end": ["train", "-m", "seed=range(0,1e9)"],
    "a range of small steps": ["train", "-m", "optimizer.lr=range(0,1,1e-9)", "--plan"],
    "minus signs": ["ls", "mine", "--where", "-" * 490 + "seed == 0"],
    "negations": ["ls", "mine", "--where", "not " * 5000 + "seed == 0"],
    "brackets": ["summary", "mine", "--where", "(" * 3000 + "seed" + ")" * 3000 + " == 0"],
    "minus signs of a sweep": ["train", "-m", "seed=0,1", "where=" + "-" * 490 + "seed == 0"],
    "true workers": ["train", "-m", *WORKERS, "hydra.launcher.n_jobs=true"],
    "no workers": ["train", "-m", *WORKERS, "hydra.launcher.n_jobs=0", "--plan"],
}


@pytest.mark.parametrize("words", LIMITS.values(), ids=LIMITS)
def test_a_limit_is_one_line(words, own_process, monkeypatch, capfd):
    write(Path("mine"), record(seed=0))
    before = sorted(Path().rglob("*"))
    monkeypatch.setattr(sys, "argv", ["regbench", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capfd.readouterr()
    assert (ended.value.code, output.out, output.err.count("\n")) == (2, "", 1)
    assert output.err.startswith("error: ")
    assert sorted(Path().rglob("*")) == before
