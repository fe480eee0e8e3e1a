"""The note and the tags that a user gives a study: a file in its folder, which stays when its runs are removed."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from regbench.errors import UserError
from regbench.guarded import read_bounded
from regbench.records.files import write_atomically
from regbench.records.names import short_name
from regbench.text import printable

_NOTE = "note.json"
_MOST_BYTES = 2**16
_MOST_TEXT = 2**13  # JSON writes a character of 1 byte in up to 6
_MOST_TAG = 100


class Note(BaseModel):
    """What a user says of a study."""

    text: str = ""
    tags: list[str] = []


def read(study: Path) -> Note:
    """Read the note of a study; an empty one where there is none, or it is damaged."""
    try:
        return Note.model_validate_json(read_bounded(study / _NOTE, _MOST_BYTES))
    except (OSError, ValidationError):
        return Note()


def line(study: Path) -> str:
    """Write the note of a study with its tags, `norms: which norm helps? #paper`; nothing without one."""
    note = read(study)
    said = " ".join([*filter(None, [note.text]), *(f"#{tag}" for tag in note.tags)])
    return printable(f"{short_name(study)}: {said}") if said else ""


def lines(runs: Iterable[Path]) -> list[str]:
    """Write the notes of the studies that the runs are in, each once."""
    return list(filter(None, map(line, dict.fromkeys(run.parent for run in runs))))


def check(text: str, tags: Sequence[str]) -> None:
    """Raise UserError if a text is too long to be read again, or a tag is no single word."""
    if len(text.encode(errors="replace")) > _MOST_TEXT:
        raise UserError(f"TEXT: has {len(text):,} characters, and a note has room for {_MOST_TEXT:,} bytes")
    for tag in tags:
        if tag.split() != [tag] or len(tag) > _MOST_TAG:
            raise UserError(f"--tag {tag}: must be one word of at most {_MOST_TAG} characters. Give --tag for each")


def write(study: Path, note: Note) -> None:
    """Replace the note of a study.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(study / _NOTE, note.model_dump_json(indent=1).encode() + b"\n")
