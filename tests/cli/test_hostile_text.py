"""Text of others steers no terminal: runs full of control characters, before every command that shows runs."""

import copy
import json
import re
import sys
from pathlib import Path

import pytest

from golden.records import record, write, write_metrics
from regbench.cli.main import main

EVIL = "\x1b]0;evil\x07\x1b[2J\u202e\u200b\r"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

# {run} and {other} are hostile, one of them with a hostile name.
SHOWN = """
ls
ls --show nope
ls --sort nope
ls --where nope==1
ls --status failed --show error
ls --studies
ls --format csv
ls {nowhere}
studies
summary
summary --by nope
summary --by norm,seed --format md
summary --by norm,seed --format csv
summary --where nope==1
summary --metric nope
summary --explain
effects
explain seed=0
explain nope=1
show {run}
diff {run} {other}
diff {run} {other} --long --format csv
reproduce {run}
rm --dry-run --where seed>=0
rm --where nope==1
rm {nowhere}
note {nowhere} x
watch --once
predict {run} {nowhere}
export {nowhere} --to safetensors
report -o {nowhere}/r.html
summary --csv {nowhere}/t.csv
"""
COMMANDS = SHOWN.strip().splitlines()


@pytest.fixture
def hostile(own_process: None) -> dict[str, str]:
    """Two runs with control characters in every text that they hold."""
    for seed, status in enumerate(("completed", "completed", "failed")):
        content = copy.deepcopy(record(seed=seed, status=status, study=f"s{EVIL}"))
        content["config"]["optimizer"][f"lr{EVIL}"] = EVIL
        content["config"][f"own{EVIL}"] = {"name": f"x{EVIL}{seed}"}
        content["config"]["norm"]["name"] = f"n{EVIL}{seed}"
        content |= (
            {"error": f"why{EVIL}", "overrides": [f"seed={EVIL}"]} if status == "failed" else {"overrides": ["seed=0"]}
        )
        content["machine"] = {"host": EVIL, "cpu": EVIL}
        path = write(Path("runs"), content, f"run{seed}{EVIL}")
        write_metrics(path, 0.5)
        metrics = path / "metrics.csv"
        metrics.write_text(metrics.read_text().replace("val_loss", f"val_loss{EVIL}", 1))
        (path.parent / "note.json").write_text(json.dumps({"text": EVIL, "tags": [f"t{EVIL}"]}))
    runs = sorted(str(path) for path in Path("runs").glob("*/*") if path.is_dir())
    return {"run": runs[0], "other": runs[1], "nowhere": f"no{EVIL}"}


@pytest.mark.parametrize("line", COMMANDS)
def test_no_command_shows_a_character_that_steers(line, hostile, monkeypatch, capfd):
    words = [word.format(**hostile) for word in line.split()]
    monkeypatch.setattr(sys, "argv", ["regbench", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capfd.readouterr()
    assert ended.value.code in (None, 0, 1, 2)
    assert output.out + output.err
    assert not STEERS.search(output.out + output.err), repr(STEERS.search(output.out + output.err))
    assert "Traceback" not in output.err


@pytest.mark.parametrize("line", ["ls {long}", "summary {long}", "note {long} text", "ls runs/{long}"])
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_name_that_is_too_long_is_a_mistake_in_one_line(line, is_closed, own_process, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["regbench", *line.format(long="x" * 256).split()])
    if is_closed:
        monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        main()
    err = capfd.readouterr().err
    assert (ended.value.code, err.count("\n"), err[:7]) == (2, 1, "error: ")
    assert not list(Path().iterdir())
