"""The line that answers words which click cannot read: which one is wrong, what is allowed, what is meant."""

import click

from regbench.cli.options import GIVEN, choices_of
from regbench.errors import listed, no_such


def line_of(error: click.ClickException) -> str:
    """Write the line for a mistake that click has found."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return error.format_message()
    if isinstance(error, click.NoSuchOption):
        return no_such("option", error.option_name, _name(context), _options(context))
    if isinstance(error, click.BadOptionUsage):
        return _misused(error, context)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        names = choices_of(error.param)
        return f"{_name(context)}: needs {_place(error.param)}" + (f". Allowed: {listed(names)}" if names else "")
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad(error.param, context) or error.format_message()
    reason = error.message[:1].lower() + error.message[1:].rstrip(".")
    return f"{_name(context)}: {reason}. It takes {_usage(context)}"


def _bad(parameter: click.Parameter, context: click.Context) -> str | None:
    """Say what a parameter allows; None if click knows better what is wrong with the value."""
    name, given = _place(parameter), context.meta.get(GIVEN, {}).get(parameter.name)
    values = given if isinstance(given, list | tuple) else [given]
    if names := choices_of(parameter):
        value = next((value for value in values if value not in names), values[0])
        return f"{name} {value}: {no_such('value', str(value), name, names)}"
    if isinstance(parameter.type, click.IntRange | click.FloatRange):
        return f"{name} {values[0]}: must be {_range(parameter.type)}"
    return None


def _range(kind: "click.IntRange | click.FloatRange") -> str:
    noun = "an integer" if isinstance(kind, click.IntRange) else "a number"
    return f"{noun} {'above' if kind.min_open else 'of at least'} {kind.min:g}"


def _misused(error: click.BadOptionUsage, context: click.Context) -> str:
    option = next((known for known in context.command.params if error.option_name in known.opts), None)
    if isinstance(option, click.Option) and option.is_flag:
        return f"{error.option_name}: takes no value"
    names = choices_of(option) if option else []
    return f"{error.option_name}: needs a value" + (f": {', '.join(names)}" if names else "")


def _place(parameter: click.Parameter) -> str:
    """Write the longest name of an option, or the first word that an argument's place is shown by."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return (parameter.metavar or str(parameter.name).upper()).split(" ")[0].rstrip(".")


def _options(context: click.Context) -> list[str]:
    return [name for option in context.command.get_params(context) for name in option.opts if name.startswith("--")]


def _name(context: click.Context) -> str:
    return f"regbench {context.info_name}" if context.parent else "regbench"


def _usage(context: click.Context) -> str:
    return (
        " ".join(piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]")
        or "no arguments"
    )
