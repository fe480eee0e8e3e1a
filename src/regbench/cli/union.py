"""`union='norm=none | norm=batch dropout=0,0.2'`: several grids in one sweep."""

import re

from regbench.cli.command_line import key_of
from regbench.errors import UserError

EXAMPLE = "union='norm=none | norm=batch dropout=0,0.2'"
_PIECE = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[({]|[\])}]|\||\s+|.""", re.DOTALL)
_OUTSIDE = ("zip", "where", "union")  # of the whole sweep


def grids_of(typed: str) -> list[list[str]]:
    """Divide the word at each bar, and each grid at its blanks, except within quotes and brackets.

    Raises:
        UserError: a grid is empty, or has a word that is for the whole sweep.
    """
    grids: list[list[str]] = [[]]
    word, depth = "", 0
    for piece in [*_PIECE.findall(typed.partition("=")[2]), " "]:
        depth += (piece in "[({") - (piece in "])}")
        if depth or not (piece == "|" or piece.isspace()):
            word += piece
            continue
        grids[-1] += [word] * bool(word)
        word = ""
        if piece == "|":
            grids.append([])
    if word:
        raise UserError(f"{typed}: a bracket is not closed")
    for grid in grids:
        _check(typed, grid)
    return grids


def _check(typed: str, grid: list[str]) -> None:
    if not grid:
        raise UserError(f"{typed}: a grid is empty: write {EXAMPLE}")
    for word in grid:
        if word.startswith(("-", "+study=")) or key_of(word) in _OUTSIDE or key_of(word).startswith("hydra"):
            raise UserError(f"{typed}: {word} is for the whole sweep: write it outside of the union")
