"""Names on a command line: the key that a word means, and what to type for it."""

from regbench.config.run_config import AXES
from regbench.config.short_keys import SHORT
from regbench.config.vocabulary import RECIPES, Vocabulary
from regbench.errors import listed, no_such
from regbench.suggestions import meant, suggestion

_SHORT = {key: short for short, key in SHORT.items()}


def key_for(name: str, vocabulary: Vocabulary, guess: bool = False) -> str | None:
    """Return the key that a name means, as it is typed: `lr` is optimizer.lr; None if it means none.

    With `guess` the name may hold a typing error.
    """
    whole = [*AXES, *RECIPES, *vocabulary.values]
    known = [*whole, *(key for key in vocabulary.keys if "." in name)]
    key = name if name in known else meant(name, known) or next(iter(vocabulary.places(name, guess=False)), None)
    if key is None and guess:
        key = suggestion(name, known) or next(iter(vocabulary.places(name)), None)
    return None if key is None else _typed(key)


def _typed(key: str) -> str:
    return "+experiment" if key == "experiment" else _SHORT.get(key, key)


def _other_than(given: str, key: str) -> str:
    """Return the key as it is typed; in full where that is what was given, as in a YAML file."""
    return key if _typed(key) == given else _typed(key)


def no_option(group: str, given: str, vocabulary: Vocabulary, options: list[str] | None = None) -> str:
    """Say that a group has no such option, and which one may be meant."""
    names = vocabulary.options(group) if options is None else options
    misnamed = vocabulary.misnamed(group, given)
    if misnamed:
        return f"its file must be called {given}.yaml, not {misnamed.name}"
    match = suggestion(given, names)
    if match and " " in match:  # with values of its own
        return f"no option '{given}' in the group '{group}'. Did you mean '{group}={match}'?"
    return no_such("option", given, f"the group '{group}'", names)


def no_key(full_key: str, option: str | None, allowed: list[str], vocabulary: Vocabulary) -> str:
    """Say that there is no such key, and which one may be meant.

    `option` is what is chosen on the axis of the key, if it has an axis; `allowed` are the names beside it.
    """
    axis, _, leaf = full_key.rpartition(".")
    if axis in AXES:
        return _no_key_of_option(axis, leaf, option, [name for name in allowed if name != "name"], vocabulary)
    near = meant(leaf, allowed)
    places = [_other_than(leaf, key) for key in vocabulary.places(leaf, guess=False)]
    hint = [near] if near else places or [name for name in [suggestion(leaf, allowed)] if name]
    hint = hint or [_other_than(leaf, key) for key in vocabulary.places(leaf)]
    place = f"'{axis}'" if axis else "the config"
    if hint and not axis.startswith("hydra"):
        return f"no key '{leaf}' in {place}. Did you mean {' or '.join(map(repr, hint[:3]))}?"
    return no_such("key", leaf, place, allowed)


def _no_key_of_option(axis: str, leaf: str, option: str | None, allowed: list[str], vocabulary: Vocabulary) -> str:
    wrong = f"no key '{leaf}' in {axis}={option}"
    if leaf not in allowed and (near := meant(leaf, allowed)):
        return f"{wrong}. Did you mean '{near}'?"
    if others := vocabulary.keys.get(f"{axis}.{leaf}", []):
        return f"{wrong}: it belongs to {axis}={listed(others)}"
    of_axis = [key.partition(".")[2] for key in vocabulary.keys if key.startswith(f"{axis}.")]
    elsewhere = [] if meant(leaf, of_axis) else vocabulary.places(leaf, guess=False)
    if elsewhere:
        return f"{wrong}. Did you mean {' or '.join(repr(_typed(key)) for key in elsewhere[:3])}?"
    if near := suggestion(leaf, allowed):
        return f"{wrong}. Did you mean '{near}'?"
    if near := suggestion(leaf, of_axis):
        owners = listed(vocabulary.keys[f"{axis}.{near}"])
        return f"{wrong}. Did you mean '{axis}.{near}'? It belongs to {axis}={owners}"
    return f"{wrong}. Allowed: {listed(sorted(allowed))}"
