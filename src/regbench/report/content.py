"""All that a report says, without its form."""

from dataclasses import dataclass, replace

from regbench.analysis.curves import Curves, curves
from regbench.analysis.question import Question
from regbench.analysis.table import Against, Table
from regbench.errors import UserError
from regbench.records.metrics import METRICS
from regbench.report.answer import Answer, answer
from regbench.report.glossary import glossary
from regbench.report.origins import Origins, origins
from regbench.tables import formats
from regbench.tables.cells import cells
from regbench.tables.footer import footer
from regbench.tables.layout import Cells
from regbench.text import printable

_CURVES = ("val_acc", "val_loss", "train_loss")


@dataclass(frozen=True)
class Content:
    """A report: what was asked and answered, the comparison, how it is to be read and where it comes from."""

    question: Question
    table: Table
    answer: Answer
    cells: Cells
    notes: tuple[str, ...]
    glossary: tuple[tuple[str, str], ...]
    csv: str
    origins: Origins
    curves: Curves | None  # None where no run has epochs
    made_by: str  # the command


def gather(question: Question, made_by: str) -> Content:
    """Compare the runs and put the comparison into words.

    Without a baseline, rows are compared with the default run, if there are several rows and one can be compared.

    Raises:
        UserError: the question does not fit the runs.
    """
    asked = question if question.against else _with_default(question)
    table = asked.table()
    return Content(
        question=asked,
        table=table,
        answer=answer(table),
        cells=cells([table]),
        notes=tuple(footer(replace(table, note=""))),  # the note stands below the question
        glossary=tuple(glossary(table)),
        csv=formats.to_csv([table]),
        origins=origins(asked.frame()),
        curves=_curves(asked),
        made_by=printable(made_by),
    )


def _with_default(question: Question) -> Question:
    against = replace(question, against=Against(("default",)))
    try:
        compared = any(row.comparison and row.comparison.pairs for row in against.table().rows)
    except UserError:  # there is one row, or the figure is that of a time
        return question
    return against if compared else question


def _curves(question: Question) -> Curves | None:
    """Average the learning curves of the rows; a metric of each epoch that the question names comes first."""
    name = next(iter(question.metrics), "").partition(":")[0]
    first = [name] if name in METRICS and name.startswith(("val_", "train_")) else []
    by = [*question.by, *question.columns]
    names = tuple(dict.fromkeys([*first, *_CURVES]))
    try:
        return curves(replace(question, by=by, columns=(), metrics=names))
    except UserError:
        return None
