"""Overrides of several runs in one line."""

from collections.abc import Container, Mapping, Sequence
from math import prod

_SHOWN_VALUES, _SHOWN_CHANGES = 6, 12
_Words = Mapping[str, str]  # the value that a run's overrides give each key


def joined(overrides: Sequence[Sequence[str]]) -> str:
    """Write the overrides of several runs as one line.

    All combinations: `norm=none,batch seed=0,1`; others: `norm=batch or dropout=0.2,0.5; seed=0,1`.
    """
    runs = [{key: value for key, _, value in (word.partition("=") for word in words)} for words in overrides]
    if _is_product(runs):
        return _product(runs)
    factors = _factors(runs)
    changes = _distinct([{key: value for key, value in run.items() if key not in factors} for run in runs])
    by_keys: dict[tuple[str, ...], list[_Words]] = {}
    for change in changes:
        by_keys.setdefault(tuple(change), []).append(change)
    parts = [text for same in by_keys.values() for text in _texts(same) if text]
    common = _product([{key: run[key] for key in factors} for run in runs])
    return "; ".join(filter(None, [" or ".join(_shortened(parts, _SHOWN_CHANGES)), common]))


def distinguishing(overrides: Sequence[Sequence[str]], shared: Container[str]) -> str:
    """Write them without the overrides that all runs of a sweep share; write all if no other is left."""
    rest = [[word for word in words if word not in shared] for words in overrides]
    return joined(rest if any(rest) else overrides)


def _distinct(runs: Sequence[_Words]) -> list[_Words]:
    return list({tuple(run.items()): run for run in runs}.values())


def _values(runs: Sequence[_Words]) -> dict[str, list[str]]:
    """List the values of each key, each once."""
    values: dict[str, dict[str, None]] = {}
    for run in runs:
        for key, value in run.items():
            values.setdefault(key, {})[value] = None
    return {key: list(several) for key, several in values.items()}


def _is_product(runs: Sequence[_Words]) -> bool:
    """Whether the runs are all combinations of their values."""
    values = _values(runs)
    same_keys = all(run.keys() == values.keys() for run in runs)
    return same_keys and prod(map(len, values.values())) == len(_distinct(runs))


def _factors(runs: Sequence[_Words]) -> list[str]:
    """List the keys whose values are all combined with everything else."""
    total = len(_distinct(runs))
    return [
        key
        for key, values in _values(runs).items()
        if all(key in run for run in runs)
        and len(_distinct([{name: run[name] for name in run if name != key} for run in runs])) * len(values) == total
    ]


def _texts(changes: Sequence[_Words]) -> list[str]:
    """Write changes of the same keys."""
    if _is_product(changes):
        return [_product(changes)]
    return [_product([change]) for change in changes]


def _product(runs: Sequence[_Words]) -> str:
    return " ".join(f"{key}={','.join(_shortened(several))}" for key, several in _values(runs).items())


def _shortened(texts: Sequence[str], most: int = _SHOWN_VALUES) -> Sequence[str]:
    return texts if len(texts) <= most else [*texts[: most // 3], "…", texts[-1]]
