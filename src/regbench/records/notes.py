"""The note and the tags that a user gives a study: a file in its folder, which stays when its runs are removed."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from regbench.guarded import read_bounded
from regbench.records.files import write_atomically

NOTE = "note.json"
_MOST_BYTES = 2**16


class Note(BaseModel):
    """What a user says of a study."""

    text: str = ""
    tags: list[str] = []


def read(study: Path) -> Note:
    """Read the note of a study; an empty one where there is none, or it is damaged."""
    try:
        return Note.model_validate_json(read_bounded(study / NOTE, _MOST_BYTES))
    except (OSError, ValidationError):
        return Note()


def write(study: Path, note: Note) -> None:
    """Replace the note of a study.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(study / NOTE, note.model_dump_json(indent=1).encode() + b"\n")
