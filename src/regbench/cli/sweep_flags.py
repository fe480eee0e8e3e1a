"""Flags of `regbench train` for sweeps: each is short for a value of hydra.sweeper."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Quote, QuotedString

from regbench.errors import UserError, no_such

PLAN, PILOT, FORMAT, UNTIL = "--plan", "--pilot", "--format", "--until-decided"
_SWITCHES = (PLAN, UNTIL)
_NEEDS = {PILOT: PLAN, FORMAT: PLAN, "--baseline": UNTIL, "--margin": UNTIL, "--max-seeds": UNTIL}  # those with a value
_WHOLE, _NUMBER = (PILOT, "--max-seeds"), ("--margin",)
_FORMATS = ("table", "json")
FLAGS = (*_SWITCHES, *_NEEDS)


def taken(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Divide the words into these flags with their values, and the rest.

    Raises:
        UserError: a flag lacks its value, its value is no number, it is given twice, or without the flag it belongs to.
    """
    flags: dict[str, str] = {}
    others: list[str] = []
    rest = list(words)
    while rest:
        flag, equals, value = rest[0].partition("=")
        if flag not in FLAGS:
            others.append(rest.pop(0))
            continue
        del rest[0]
        if flag in flags and flag in _NEEDS:
            raise UserError(f"{flag}: is given twice")
        flags[flag] = _value(flag, value if equals else None, rest)
    for flag in flags:
        if (needed := _NEEDS.get(flag)) and needed not in flags:
            raise UserError(f"{flag}: belongs to {needed}: add it, or leave {flag} out")
    return flags, others


def overrides(flags: dict[str, str]) -> list[str]:
    """Write the flags as Hydra reads them: `--max-seeds 20` is `hydra.sweeper.max_seeds=20`."""
    return [f"hydra.sweeper.{flag.removeprefix('--').replace('-', '_')}={value}" for flag, value in flags.items()]


def _value(flag: str, given: str | None, rest: list[str]) -> str:
    """Return a flag's value as Hydra reads it, taken from the rest unless it is given with the flag."""
    if flag in _SWITCHES:
        if given is not None:
            raise UserError(f"{flag}={given}: {flag} takes no value")
        return "true"
    if given is None and rest and not rest[0].startswith("--"):
        given = rest.pop(0)
    if not given:
        example = {PILOT: "3", FORMAT: "json", "--baseline": "norm=none", "--margin": "0.2"}.get(flag, "50")
        raise UserError(f"{flag}: needs a value, as in {flag} {example}")
    if flag == FORMAT and given not in _FORMATS:
        raise UserError(f"{flag} {given}: {no_such('format', given, PLAN, _FORMATS)}")
    if flag in _WHOLE and not (given.isascii() and given.isdigit()):
        raise UserError(f"{flag} {given}: must be a whole number")
    if flag in _NUMBER and not _is_number(given):
        raise UserError(f"{flag} {given}: must be a finite number above 0")
    return str(QuotedString(given, Quote.single).with_quotes()) if flag == "--baseline" else given


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
