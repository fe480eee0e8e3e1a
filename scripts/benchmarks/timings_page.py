"""The page `docs/timings.md`, of what `docs/timings/*.json` holds: a file for each kind of machine."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, FOLDER = DOCS / "timings.md", DOCS / "timings"

_HEAD = """\
# Timings

`scripts/bench timings` measures all of this on the machine at hand in {minutes}, keeps the figures in `docs/timings/`,
and writes this page. Each contender works in a new process, and the best of some rounds is shown. Compare figures
within one machine, where all come from one call. A load near the number of cores or above it, before the call, means
that other programs took part of the time.
"""
_NONE = "No machine has been measured yet.\n"


@dataclass(frozen=True)
class Table:
    """Figures of one subject; the same subject has the same title on every machine."""

    title: str
    about: str
    columns: Sequence[str]  # of the figures; the first column names the row
    rows: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Machine:
    """All figures of one machine, from one call."""

    processor: str
    cores: int
    date: str
    load_before: float
    load_after: float
    seconds: float
    versions: Mapping[str, str]
    tables: Sequence[Table]

    @property
    def file(self) -> Path:
        """Where they are kept: a later call on the same kind of machine replaces them."""
        words = "".join(
            letter if letter.isalnum() else " " for letter in f"{self.processor} {self.cores} cores"
        ).split()
        return FOLDER / f"{'-'.join(words).lower()}.json"


def keep(machine: Machine) -> None:
    """Keep a machine's figures, and write the page again."""
    machine.file.parent.mkdir(exist_ok=True)
    machine.file.write_text(json.dumps(asdict(machine), indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(machines()), "utf-8")


def machines() -> list[Machine]:
    """All machines whose figures are kept, the one measured last first."""
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        content = json.loads(file.read_text("utf-8"))
        found.append(Machine(**{**content, "tables": [Table(**table) for table in content["tables"]]}))
    return sorted(found, key=lambda machine: machine.date, reverse=True)


def page(machines: Sequence[Machine]) -> str:
    """Write the page: a section for each subject, with a table for each machine."""
    minutes = f"{machines[0].seconds / 60:.0f} minutes" if machines else "some minutes"
    parts = (
        [_HEAD.format(minutes=minutes), *map(_machine, machines)]
        if machines
        else [_HEAD.format(minutes=minutes), _NONE]
    )
    for title in dict.fromkeys(table.title for machine in machines for table in machine.tables):
        parts += _section(title, machines)
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return (
        f"- **{machine.processor}**, {machine.cores} cores, {machine.date}: load {machine.load_before:.1f} before and "
        f"{machine.load_after:.1f} after, {machine.seconds:.0f} s in all; {versions}"
    )


def _section(title: str, machines: Iterable[Machine]) -> list[str]:
    """Write a subject: what it is, and each machine's table."""
    having = [(machine, table) for machine in machines for table in machine.tables if table.title == title]
    parts = [f"## {title}\n", f"{having[0][1].about}\n"]
    for machine, table in having:
        header = " | ".join(["", f"{machine.processor}, {machine.cores} cores", *table.columns, ""]).strip()
        rule = "|---|" + "---:|" * len(table.columns)
        rows = [f"| {' | '.join([name, *cells])} |" for name, cells in table.rows.items()]
        parts.append("\n".join([header, rule, *rows]) + "\n")
    return parts
