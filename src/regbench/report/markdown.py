"""A report as Markdown, with its pictures as PNG files beside it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from regbench.report.content import Content
from regbench.report.pictures import kinds, pictures, title
from regbench.tables.formats import markdown
from regbench.text import for_markdown


def files(content: Content, path: Path) -> dict[Path, bytes]:
    """Make the content of each file: the pictures, then the text that shows them."""
    drawn = pictures(content.question, list(kinds(content.table)), "png")
    beside = {path.with_name(f"{path.stem}-{kind}.png"): picture for kind, picture in drawn.drawn.items()}
    shown = {kind: path.with_name(f"{path.stem}-{kind}.png").name for kind in drawn.drawn}
    lines = [*_head(content), *_pictures(shown, drawn.left_out), *_rest(content)]
    return beside | {path: ("\n".join(lines) + "\n").encode()}


def _head(content: Content) -> Iterator[str]:
    yield f"# {for_markdown(content.answer.question)}"
    if content.table.note:
        yield from ("", f"*{for_markdown(content.table.note)}*")
    yield from ("", f"**{for_markdown(content.answer.short)}**", "")
    yield from (f"- {for_markdown(sentence)}" for sentence in content.answer.sentences)
    yield from ("", "## Table", "", markdown(content.cells, content.notes))


def _pictures(shown: Mapping[str, str], left_out: Mapping[str, str]) -> Iterator[str]:
    yield "## Pictures"
    for kind, name in shown.items():
        yield from ("", f"{title(kind)}:", "", f"![{title(kind)}]({name.replace(' ', '%20')})")
    for kind, reason in left_out.items():
        yield from ("", f"No picture of {kind}: {for_markdown(reason)}.")


def _rest(content: Content) -> Iterator[str]:
    origins = content.origins
    if origins.lost:
        yield from ("", "## Runs in no figure", "")
        yield from (f"- {for_markdown(f'{run.name}: {run.status} {run.reason}'.strip())}" for run in origins.lost)
    if content.glossary:
        yield from ("", "## What the statistics mean", "")
        yield from (f"- **{heading}**: {for_markdown(text)}" for heading, text in content.glossary)
    yield from ("", "## Where the numbers come from", "")
    yield from (f"- {name}: {for_markdown(text)}" for name, text in origins.facts)
    yield from ("", "## How to reproduce it", "", *_code(reproduction(content)))


def _code(lines: list[str]) -> Iterator[str]:
    """Indent code: no text in it can end it."""
    yield from (f"    {line}" for line in lines)


def reproduction(content: Content) -> list[str]:
    """Write the commands that make this report again, from the code to the page."""
    commit = content.origins.commit
    checkout = [f"git checkout {commit}"] if commit else []
    return [*checkout, "pip install .", *content.origins.commands, content.made_by]
