"""`zip=norm,init` and `where='dropout == 0 or norm == none'`: the sweeper's settings, as a shell takes them easily."""

import re
from collections.abc import Sequence

from regbench.errors import UserError

WORDS = ("zip", "where")
SWEEPS = ("-m", "--multirun", "hydra.mode=", "+study=")  # what a sweep's command line has


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """The arguments with `hydra.sweeper.zip` and `.where` for all that is given for short; each may be repeated.

    Raises:
        UserError: one of them without a sweep, or without a value.
    """
    given: dict[str, list[str]] = {name: [] for name in WORDS}
    rest = []
    for word in arguments:
        name, equals, value = word.partition("=")
        if not (equals and name in WORDS):
            rest.append(word)
        elif not value.strip():
            raise UserError(f"{word}: needs a value, as in zip=norm,init or where='norm != none'")
        elif not any(other.startswith(SWEEPS) for other in arguments):
            raise UserError(f"{word}: belongs to a sweep: add -m")
        else:
            given[name].append(value)
    groups = [_list([key.strip() for key in value.split(",")]) for value in given["zip"]]
    zipped = [f"hydra.sweeper.zip=[{','.join(groups)}]"] * bool(groups)
    return rest + zipped + [f"hydra.sweeper.where={_list(given['where'])}"] * bool(given["where"])


def _list(texts: Sequence[str]) -> str:
    """A list of texts in Hydra's grammar, each in quotes: only backslashes before a quote are to be doubled."""
    return "[{}]".format(",".join("'{}'".format(re.sub(r"(\\*)('|$)", _escaped, text)) for text in texts))


def _escaped(found: re.Match[str]) -> str:
    return 2 * found[1] + ("\\'" if found[2] else "")
