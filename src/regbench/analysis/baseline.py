"""Find the row that each row is compared with."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from regbench.analysis.groups import Values
from regbench.errors import UserError, no_such
from regbench.text import shown


def spec(texts: Sequence[str], option: str = "--baseline ") -> dict[str, str]:
    """Parse `["norm=none,init=xavier"]` into a mapping; commas inside brackets do not separate.

    `option` is what the user has written before them, for messages.

    Raises:
        UserError: a part is not KEY=VALUE, or names a key twice.
    """
    wanted: dict[str, str] = {}
    for part in (part for text in texts for part in re.split(r",(?![^\[]*\])", text)):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not (key and equals and value):
            alone = ". The default run stands alone: --baseline default" if part.strip() == "default" else ""
            raise UserError(f"{option}{part}: must be KEY=VALUE, like norm=none{alone}")
        if key in wanted:
            raise UserError(f"{option}{key}={value}: {key}={wanted[key]} is given too. Name each key once")
        wanted[key] = value
    return wanted


def baselines(groups: Sequence[Values], wanted: Mapping[str, str]) -> list[int | None]:
    """Return the number of each group's baseline: the group with the wanted values and otherwise the same values.

    Arguments of the wanted options need not agree.

    Raises:
        UserError: no group has the wanted values, several groups are the baseline of one, or no group has a baseline
            other than itself.
    """
    candidates = [n for n, group in enumerate(groups) if all(matches(group, key, text) for key, text in wanted.items())]
    if not candidates:
        raise UserError(_nowhere(groups, wanted))
    found = [_baseline(group, groups, candidates, wanted) for group in groups]
    if all(base in (None, number) for number, base in enumerate(found)):
        raise UserError(_compares_nothing(groups, wanted, len(candidates)))
    return found


def _compares_nothing(groups: Sequence[Values], wanted: Mapping[str, str], candidates: int) -> str:
    others = sorted({key for group in groups for key in group} - wanted.keys())
    if candidates == len(groups):
        cure = f"Name one of {', '.join(others)}" if others else "No other key differs"
        return f"--baseline {written(wanted)}: all rows have it, and nothing is compared. {cure}"
    return (
        f"--baseline {written(wanted)}: no other row has the same {', '.join(others)}, and nothing is compared. "
        "Name these too, or --baseline default"
    )


def default(groups: Sequence[Values], base: Values) -> list[int]:
    """Return the number of the group with the base's values, for each group.

    Raises:
        UserError: no group has them, or there is no other.
    """
    numbers = [n for n, group in enumerate(groups) if group == base]
    values = written({key: shown(value) for key, value in base.items()})
    if not numbers:
        raise UserError(f"--baseline default: no run has {values}. Train it, or name a baseline that there is")
    if len(groups) == 1:
        raise UserError("--baseline default: all runs are alike, and nothing is compared")
    return numbers * len(groups)


def _baseline(
    group: Values, groups: Sequence[Values], candidates: Sequence[int], wanted: Mapping[str, str]
) -> int | None:
    def rest(values: Values) -> dict[str, Any]:
        return {k: v for k, v in values.items() if k not in wanted and k.partition(".")[0] not in wanted}

    numbers = [number for number in candidates if rest(groups[number]) == rest(group)]
    if len(numbers) > 1:
        more = sorted({key for number in numbers for key in groups[number]} - wanted.keys())
        raise UserError(f"--baseline {written(wanted)}: {len(numbers)} rows have it. Add one of {', '.join(more)}")
    return numbers[0] if numbers else None


def written(wanted: Mapping[str, str]) -> str:
    """Write values as a user names them: `norm=none,init=xavier`."""
    return ",".join(f"{key}={text}" for key, text in wanted.items())


def matches(group: Values, key: str, text: str) -> bool:
    """Tell whether a group has the value that `text` means on the command line."""
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
        if not any(matches(group, key, text) for group in groups):
            values = {shown(group[key]) for group in groups if key in group}
            return f"--baseline {key}={text}: {no_such('value', text, f'the rows of {key!r}', values)}"
    return f"--baseline {written(wanted)}: no row has all of these values"
