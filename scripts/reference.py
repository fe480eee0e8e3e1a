"""docs/commands.md, docs/keys.md and docs/files.md, from what the program itself reads: `scripts/reference`."""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from regbench.cli.group import main as group
from regbench.cli.train_help import whole_help
from regbench.config.location import config_dir
from regbench.config.run_config import AXES, RunConfig, Runtime
from regbench.figures.choices import KINDS
from regbench.records.rows import Epoch, Progress
from regbench.records.run_json import Record
from regbench.text import shown
from techniques_page import table

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "This page is made by `scripts/reference` from what the program itself reads; a test keeps it current."
COMMANDS = f"""\
# Commands

`regbench COMMAND --help` says the same, `regbench completion bash --install` completes at the Tab key, and
[programs.md](programs.md) describes `--format json`.
{MADE}
"""
KEYS = f"""\
# Keys

Every value of a run and of a sweep, set by `KEY=VALUE` behind `regbench train`. The arguments of options, such as
`optimizer.lr`, are in [techniques.md](techniques.md).
{MADE}
"""
FILES = f"""\
# Files of a run

{MADE}

    runs/<study>/<name>-<id>/
      config.yaml         every value of the run
      metrics.csv         a row per epoch
      layers.csv          a row per epoch and layer; not with diagnostics=off
      histograms.safetensors  activations, weights and gradients of each layer, after the first and the last epoch
      pretrain.csv        with init=lsuv or init=rbm: how the weights were prepared before the first epoch
      run.json            status, final figures, versions, machine, commit; what the summary reads
      model.safetensors   the weights of the epoch that validation chose
      predicted.safetensors  the class of each test image at that epoch and at the last, and the right one
      checkpoint.pt       everything to resume after the last finished epoch; kept in the end for a single run
      train.log           the command, versions, machine and data, every epoch, warnings, and how the run ended

`<id>` depends on everything that can change a number, the data included, and on nothing else: not on the device, the
number of threads or the study. So the same command trains once; `force=true` trains again. After Ctrl-C, a crash or a
power cut, run the same command to resume from the last finished epoch: it ends with the same numbers, bit for bit, as
if nothing had happened (on the same machine with the same number of threads; [determinism.md](determinism.md) says what
equals what). Reading a run executes nothing in it: you can open the runs of people you do not know.

## List and remove runs

    $ regbench ls runs/first --sort -test_acc --limit 3
    status      age  epochs  test %  norm   init     seed  run
    completed  1min     1/1   97.30  batch  xavier   0     first/cab52ea8177b
    completed  1min     1/1   97.24  batch  kaiming  0     first/1138eee49472
    completed  1min     1/1   97.02  batch  kaiming  1     first/fe9d4811ceae

    12 runs: 12 completed, the first 3 are shown

`ls` shows the keys in which the runs differ, `--show KEY` more, `--by KEY` others; `ls --studies` has a line for each
study. Other commands take the name in the last column, or the first digits of the id: `regbench diff cab5 1138`. A run
also knows the recipe that it came from: `regbench summary --by experiment`.

    regbench ls --status failed --show error -o failed.csv   # --where, --sort, --format csv and json
    regbench rm runs/old                                     # shows the runs of the study, asks, removes them
    regbench rm --where 'norm == batch and epochs < 5'
"""
_COMMENTED = re.compile(r"^    (?P<name>\w+): [^#\n]*?  # (?P<comment>.+)$", re.MULTILINE)


def pages() -> dict[str, str]:
    """Write the pages, by their names in docs/."""
    return {"commands.md": _commands(), "keys.md": _keys(), "files.md": _files()}


def _commands() -> str:
    train = whole_help(config_dir(), _root_=OmegaConf.create(_chosen()))
    parts = [COMMANDS, f"## train\n\n```text\n{train}\n```\n"]
    parts += [_command(name, command) for name, command in group.commands.items() if name != "train"]
    return "\n".join(parts)


def _chosen() -> dict[str, Any]:
    """Return config.yaml with the option that is chosen on each axis, as the help shows it."""
    values: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / "config.yaml"))
    chosen = {key: name for entry in values["defaults"] if isinstance(entry, dict) for key, name in entry.items()}
    return values | {axis: {"name": chosen[axis]} for axis in AXES}


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"regbench {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    kinds = f"\n{_rows(('kind', 'shows'), KINDS.items())}" if name == "plot" else ""
    options = [_option(option, context) for option in command.params if isinstance(option, click.Option)]
    described = f"\n{_rows(('option', 'meaning'), options)}" if options else ""
    return f"## {name}\n\n    regbench {name} {usage}\n\n{_plain(text)}\n{described}{kinds}"


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    """Describe an option: its names with what they take, and its help with what is allowed by default."""
    names, text = option.get_help_record(context) or ("", "")
    return f"`{names}`", _plain(re.sub(r"\s*\[default: ", " [default: ", text))


def _plain(text: str) -> str:
    """Keep Markdown from reading words of a terminal as its own marks."""
    return text.replace("<", "&lt;").replace("*", r"\*")


def _keys() -> str:
    text = (config_dir() / "config.yaml").read_text("utf-8")
    values = [key for key in RunConfig.model_fields if key not in (*AXES, "runtime")]
    parts = [KEYS, f"## Values of a run\n\n{table(RunConfig, text, '', values)}"]
    where = "Where and how a run is computed: no part of its identity."
    parts += [f"## runtime\n\n{where}\n\n{table(Runtime, text, 'runtime.', list(Runtime.model_fields))}"]
    Plugins.instance()  # finds the launchers and sweepers
    for kind, names in (("launcher", _OF_LAUNCHERS), ("sweeper", _OF_SWEEPERS)):
        parts += [_choice(kind, name) for name in names]
    return "\n".join(parts)


_OF_LAUNCHERS = ("local", "processes", "ray", "submitit_local", "submitit_slurm")
_OF_SWEEPERS = ("regbench", "optuna")


def _choice(kind: str, name: str) -> str:
    """Describe a launcher or a sweeper: the comments in its dataclass are the meanings, or else its docstring."""
    node = ConfigStore.instance().load(f"hydra/{kind}/{name}.yaml").node
    schema = OmegaConf.get_type(node)
    assert schema is not None
    notes = comments(schema)
    values = OmegaConf.to_container(node)
    assert isinstance(values, dict)
    rows = [
        (f"`hydra.{kind}.{key}`", f"`{shown(value)}`", note)
        for key, value in values.items()
        if (note := notes.get(str(key), "" if kind == "launcher" else None)) is not None
        and not (key == "_target_" or "refused" in note)
    ]
    head = f"## hydra/{kind}={name}\n\n{inspect.cleandoc(schema.__doc__ or '')}\n"
    return head + (f"\n{_rows(('key', 'default', 'meaning'), rows)}" if rows else "")


def comments(schema: type[Any]) -> dict[str, str]:
    """Return what stands behind each field of a class, those of its bases included."""
    sources = [
        inspect.getsource(base) for base in reversed(schema.__mro__) if base.__module__.partition(".")[0] in _OURS
    ]
    return {match["name"]: match["comment"] for text in sources for match in _COMMENTED.finditer(text)}


_OURS = ("regbench", "hydra_plugins")


def _files() -> str:
    recorded = _rows(("key", "type", "meaning"), _recorded(Record.model_json_schema()))
    parts = [
        FILES,
        f"## metrics.csv\n\n{_columns(Epoch)}",
        "## layers.csv\n\n[diagnostics.md](diagnostics.md) explains it.\n",
    ]
    parts += [f"## pretrain.csv\n\n{_columns(Progress)}"]
    return "\n".join([*parts, f"## run.json\n\nWhat readers need; every version may write more.\n\n{recorded}"])


def _columns(row: type[Any]) -> str:
    notes = comments(row)
    names = inspect.signature(row).parameters
    return _rows(("column", "meaning"), [(f"`{name}`", notes.get(name, "")) for name in names])


def _recorded(schema: dict[str, Any], path: str = "", top: dict[str, Any] | None = None) -> Iterator[tuple[str, ...]]:
    """Yield the keys of run.json, by its JSON schema."""
    top = top or schema
    notes = comments(Record)
    for name, part in schema.get("properties", {}).items():
        kinds = [_resolved(kind, top) for kind in part.get("anyOf", [part])]
        yield f"`{path}{name}`", " or ".join(map(_type, kinds)), notes.get(name, "") if not path else ""
        for kind in kinds:
            yield from _recorded(kind, f"{path}{name}.", top)


def _resolved(schema: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = top["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _type(schema: dict[str, Any]) -> str:
    return ", ".join(schema["enum"]) if "enum" in schema else str(schema.get("format") or schema.get("type", "any"))


def _rows(head: tuple[str, ...], rows: Any) -> str:
    """Write a table."""
    cells = [[" ".join(str(cell).replace("|", r"\|").split()) for cell in line] for line in (head, *rows)]
    lines = [f"| {' | '.join(line)} |\n" for line in cells]
    return "".join([lines[0], f"|{'---|' * len(head)}\n", *lines[1:]])


def main() -> None:
    """Write the pages into docs/."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
