"""The commands on studies: studies, note."""

import shutil
import sys
from pathlib import Path

import click

from regbench.cli import options
from regbench.cli.options import Command
from regbench.cli.output import format_of
from regbench.cli.runs import put, warn_of_absent
from regbench.errors import UserError
from regbench.records.files import RUN
from regbench.records.names import no_directory
from regbench.tables.choices import RUN_LIST_FORMATS


@click.command(cls=Command)
@options.dirs
@options.where
@options.status
@options.output_format(*RUN_LIST_FORMATS)
@options.output_file
def studies(
    dirs: tuple[str, ...], where: tuple[str, ...], statuses: tuple[str, ...], output: str | None, file: Path | None
) -> None:
    """List studies: runs, age, best accuracy, notes.

    DIRS hold them (default: runs). Shown besides: status, what differs, tags.
    """
    from regbench.records.listing import listing
    from regbench.records.names import paths_of
    from regbench.tables import study_list

    runs = listing(paths_of(dirs)).only(statuses, where)
    warn_of_absent(runs)
    chosen = format_of(output, file, ["table", *RUN_LIST_FORMATS])
    room = shutil.get_terminal_size().columns if not file and sys.stdout and sys.stdout.isatty() else None
    text = study_list.to_table(runs, room) if chosen == "table" else getattr(study_list, RUN_LIST_FORMATS[chosen])(runs)
    put(text, file)


@click.command(cls=Command)
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("text", required=False)
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="Add a tag; may be repeated.")
@click.option("--untag", "gone", multiple=True, metavar="WORD", help="Remove a tag; may be repeated.")
def note(study: Path, text: str | None, tags: tuple[str, ...], gone: tuple[str, ...]) -> None:
    """Say what a STUDY is about, or show its note.

    regbench note runs/norms "which norm helps?"

    `regbench studies`, ls, summary and report show notes and tags.
    """
    from regbench.records import notes

    _check_study(study)
    before = notes.read(study)
    notes.check(text or "", tags)
    if absent := [tag for tag in gone if tag not in before.tags]:
        raise UserError(f"--untag {absent[0]}: the study has no such tag")
    if text is not None or tags or gone:
        kept = [tag for tag in dict.fromkeys([*before.tags, *tags]) if tag not in gone]
        notes.write(study, notes.Note(text=before.text if text is None else text, tags=kept))
    click.echo(notes.line(study) or f"{study}: no note")


def _check_study(path: Path) -> None:
    """Raise UserError unless the path is a folder that `regbench studies` could list."""
    if not path.is_dir():
        raise no_directory(path, "regbench studies lists what there is")
    if path.is_symlink():
        raise UserError(f"{path}: is a link, which is not written through. Name the folder that it leads to")
    if (path / RUN).exists():
        raise UserError(f"{path}: is a run, and a note is about a study: regbench note {path.parent}")
    if any(path.glob(f"*/*/{RUN}")) and not any(path.glob(f"*/{RUN}")):
        raise UserError(f"{path}: is a folder of studies. Name one: regbench studies {path} lists them")
