"""What a network says of images: a table, CSV or JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regbench.tables import as_json
from regbench.tables.layout import Cells, csv_text, csv_value, lay_out
from regbench.text import printable, shown

_TOP = 3


@dataclass(frozen=True)
class Answer:
    """What a network says of an image: each class with its probability, the likeliest first; the pixels it saw."""

    file: str
    ranking: Sequence[tuple[str, float]]
    inverted: bool
    pixels: NDArray[np.uint8]  # [28, 28]


def to_table(answers: Sequence[Answer]) -> str:
    """Write a line for each image: the three likeliest classes with their probabilities in %."""
    rows = [[printable(shown(answer.file)), *_top(answer)] for answer in answers]
    top = min(_TOP, len(answers[0].ranking))
    headings = ["image", *(text for place in ("1st", "2nd", "3rd")[:top] for text in (place, "%"))]
    lines = lay_out(Cells(headings, rows, figures=range(2, 2 * top + 1, 2)))
    inverted = sum(answer.inverted for answer in answers)
    note = [f"inverted, as dark on light: {inverted} of {len(answers)}"] if inverted else []
    return "\n".join([*lines, *([""] if note else []), *note]) + "\n"


def _top(answer: Answer) -> Iterator[str]:
    for name, share in answer.ranking[:_TOP]:
        yield printable(name)
        yield f"{100 * share:.1f}"


def to_csv(answers: Sequence[Answer]) -> str:
    """Write a line for each image, with the probability of every class."""
    names = [name for name, _ in sorted(answers[0].ranking)]
    rows = [
        {
            "image": csv_value(answer.file),
            "class": csv_value(answer.ranking[0][0]),
            "inverted": csv_value(answer.inverted),
            **{f"p.{name}": share for name, share in answer.ranking},
        }
        for answer in answers
    ]
    return csv_text(["image", "class", "inverted", *(f"p.{name}" for name in names)], rows)


def to_json(answers: Sequence[Answer]) -> str:
    """Write the probability of every class, the likeliest first."""
    images = [
        {"image": answer.file, "class": answer.ranking[0][0], "inverted": answer.inverted, "p": dict(answer.ranking)}
        for answer in answers
    ]
    return as_json.document("predict", {"images": images})
