"""What can be chosen on an axis: each option with its meaning, its arguments with defaults and ranges."""

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from regbench.config.registry import Registry
from regbench.config.run_config import AXES
from regbench.config.vocabulary import Vocabulary
from regbench.config.wording import describe
from regbench.errors import UserError, no_such
from regbench.experiment.checks import registries
from regbench.tables.choice_list import Argument, Choice


def choices(axis: str, vocabulary: Vocabulary) -> list[Choice]:
    """List the options of an axis, the user's own files as well.

    Raises:
        UserError: there is no such axis, or a file of the user's own holds wrong values.
    """
    if axis not in AXES:
        raise UserError(f"{axis}: {no_such('axis', axis, 'the config', AXES)}")
    registry = registries()[axis]
    return [_choice(axis, name, registry, vocabulary) for name in vocabulary.options(axis)]


def _choice(axis: str, option: str, registry: Registry[Any], vocabulary: Vocabulary) -> Choice:
    path = vocabulary.file(axis, option)
    content = yaml.safe_load(path.read_text("utf-8")) if path else None
    values = content if isinstance(content, dict) else {}
    name = str(values.pop("name", option))
    function = registry.get(name)
    if function is None:
        return Choice(option, "", [])
    defaults = registry.check({"name": name, **values}).args  # as numbers: YAML takes 1e-5 for text
    meaning = (function.__doc__ or "").partition("\n")[0]
    fields = registry.schema(name).model_fields
    return Choice(option, meaning, list(_arguments(axis, defaults, fields)))


def _arguments(axis: str, values: dict[str, Any], fields: dict[str, FieldInfo]) -> Iterator[Argument]:
    for key, default in values.items():
        if field := fields.get(str(key)):
            yield Argument(f"{axis}.{key}", default, describe(field))
