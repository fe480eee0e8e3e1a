"""Overrides of several runs in one line."""

from collections.abc import Container, Sequence

_SHOWN_VALUES = 6


def joined(overrides: Sequence[Sequence[str]]) -> str:
    """Write the overrides of several runs as one line: `norm=batch seed=0,1,2`."""
    values: dict[str, list[str]] = {}
    for words in overrides:
        for key, _, value in (word.partition("=") for word in words):
            values.setdefault(key, []).append(value)
    return " ".join(f"{key}={_shortened(list(dict.fromkeys(several)))}" for key, several in values.items())


def distinguishing(overrides: Sequence[Sequence[str]], shared: Container[str]) -> str:
    """Write them without the overrides that all runs of a sweep share; write all if no other is left."""
    rest = [[word for word in words if word not in shared] for words in overrides]
    return joined(rest if any(rest) else overrides)


def _shortened(values: Sequence[str]) -> str:
    return ",".join(values if len(values) <= _SHOWN_VALUES else [*values[:2], "…", values[-1]])
