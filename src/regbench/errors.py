"""Mistakes that the user can correct: one line names the key, the value, what is allowed and the nearest match."""

from collections.abc import Iterable
from difflib import get_close_matches

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130  # exit codes


class UserError(Exception):
    """A mistake that the user can correct: shown as one line on stderr, with exit code 2 and without a traceback."""


def no_such(noun: str, given: str, place: str, allowed: Iterable[str]) -> str:
    """Write `no option 'bacth' in 'norm'. Did you mean 'batch'? Allowed: batch, none`."""
    names = sorted(allowed)
    return f"no {noun} '{given}' in {place}.{nearest(given, names)} Allowed: {', '.join(names) or 'nothing'}"


def nearest(given: str, names: Iterable[str]) -> str:
    """Write ` Did you mean 'batch'?`, or nothing if no name is near."""
    match = get_close_matches(given, list(names), n=1)
    return f" Did you mean '{match[0]}'?" if match else ""
