"""Which row each row is compared with."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from regbench.analysis.groups import Values
from regbench.errors import UserError, no_such
from regbench.text import shown


def spec(texts: Sequence[str]) -> dict[str, str]:
    """`["norm=none,init=xavier"]` as a mapping; commas inside brackets separate nothing.

    Raises:
        UserError: a part that is no KEY=VALUE.
    """
    found = {}
    for part in (part for text in texts for part in re.split(r",(?![^\[]*\])", text)):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not (key and equals and value):
            raise UserError(f"--baseline {part}: must be KEY=VALUE, like norm=none")
        found[key] = value
    return found


def baselines(groups: Sequence[Values], wanted: Mapping[str, str]) -> list[int | None]:
    """For each group the number of its baseline: the group with the wanted values and the same of all else.

    Arguments of the wanted options need not agree.

    Raises:
        UserError: no group has the wanted values, or several are the baseline of the same group.
    """
    candidates = [n for n, group in enumerate(groups) if all(matches(group, key, text) for key, text in wanted.items())]
    if not candidates:
        raise UserError(_nowhere(groups, wanted))
    return [_baseline(group, groups, candidates, wanted) for group in groups]


def _baseline(
    group: Values, groups: Sequence[Values], candidates: Sequence[int], wanted: Mapping[str, str]
) -> int | None:
    def rest(values: Values) -> dict[str, Any]:
        return {k: v for k, v in values.items() if k not in wanted and k.partition(".")[0] not in wanted}

    found = [number for number in candidates if rest(groups[number]) == rest(group)]
    if len(found) > 1:
        more = sorted({key for number in found for key in groups[number]} - wanted.keys())
        given = ",".join(f"{key}={text}" for key, text in wanted.items())
        raise UserError(f"--baseline {given}: {len(found)} rows are that. Add one of {', '.join(more)}")
    return found[0] if found else None


def matches(group: Values, key: str, text: str) -> bool:
    """Whether a group has the value that `text` is on the command line."""
    if key not in group:
        return False
    value = group[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return bool(value == float(text))
        except ValueError:
            return False
    return shown(value).replace(" ", "") == text.replace(" ", "")


def _nowhere(groups: Sequence[Values], wanted: Mapping[str, str]) -> str:
    for key, text in wanted.items():
        values = {shown(group[key]) for group in groups if key in group}
        if text not in values:
            return f"--baseline {key}={text}: {no_such('value', text, f'the rows of {key!r}', values)}"
    return f"--baseline {','.join(f'{key}={text}' for key, text in wanted.items())}: no row has all of these values"
