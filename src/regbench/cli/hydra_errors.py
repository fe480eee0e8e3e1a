"""Turn an error of regbench, Hydra, OmegaConf or YAML into one line."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable
from traceback import walk_tb

import yaml
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from regbench.cli.command_line import CommandLine
from regbench.cli.file_errors import located, unreadable
from regbench.cli.names import no_key, no_option
from regbench.cli.override_errors import unreadable_word
from regbench.config.run_config import AXES
from regbench.config.vocabulary import RECIPES
from regbench.errors import RefusedRunsError, UnknownKeyError, UserError

_Sentence = Callable[[re.Match[str], CommandLine], str]


def is_mistake(error: Exception) -> bool:
    """Tell whether the user can correct it: Hydra and OmegaConf raise a dozen kinds of errors for a wrong command."""
    packages = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    source = next(name for name in reversed(packages) if name in ("regbench", "hydra", "omegaconf"))
    return source != "regbench" or isinstance(error, UserError)


def explain(error: BaseException, line: CommandLine) -> str:
    """Say in one line what is wrong and what to type instead; `line` is what was typed."""
    if isinstance(error, RefusedRunsError):
        reason = explain(error.reason, line)
        return f"{reason}{'' if reason.endswith('?') else '.'} {error.which}"
    text = _described(error, line)
    return text.replace("runtime.study", "study") if line.has_short_study else text


def _described(error: BaseException, line: CommandLine) -> str:
    if isinstance(error, UnknownKeyError):
        return located(f"{error.key}: {_unknown(error.key, error.option, error.allowed, line)}", error.key, line)
    if isinstance(error, UserError):
        return located(str(error), None, line)
    if isinstance(error, OverrideParseException):
        return unreadable_word(error)
    if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
        return unreadable(error, line)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(error, error.missing_cfg_file, line)
    if isinstance(error, OmegaConfBaseException):
        return located(_of_value(error), str(error.full_key), line)
    if isinstance(error, OSError):
        return f"{error.filename or 'standard output'}: {error.strerror or error}"
    return _of_composition(error, line)


def _missing(error: MissingConfigException, file: str, line: CommandLine) -> str:
    """Describe an option or a config that is not there."""
    group, _, name = file.rpartition("/")
    if not group:
        return f"--config-name {name}: no {name}.yaml in the folders of configs"
    word = f"{'+' if group in RECIPES else ''}{group}={name}"
    options = None if group in (*AXES, *RECIPES) else list(error.options or ())
    return located(f"{word}: {no_option(group, name, line.vocabulary, options)}", group, line)


def _unknown(key: str, option: str | None, allowed: list[str], line: CommandLine) -> str:
    """Describe a key that is not there."""
    if key in line.recipes:  # a recipe without a package composes into a node of the group's name
        file = line.vocabulary.file(key, line.recipes[key])
        if file and file.read_bytes().startswith(BOM_UTF8):
            return "its file begins with a byte order mark, which hides its first line: save it as UTF-8 without one"
        return "a recipe must begin with the line: # @package _global_"
    return no_key(key, option, allowed, line.vocabulary)


def _of_composition(error: BaseException, line: CommandLine) -> str:
    """Describe an error of Hydra: by its cause in OmegaConf, or by its words."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OmegaConfBaseException):
        text = _of_override(error, cause, line)
        file = re.match(r"In '([^']+)'", str(error))
        found = located(text, str(cause.full_key), line)
        return f"{file[1]}.yaml: {text}" if file and found == text else found
    text = str(error).strip()
    for pattern, sentence in _SENTENCES.items():
        if match := re.search(pattern, text):
            return sentence(match, line)
    return " ".join(text.split("\n")[:2]) or type(error).__name__


def _of_override(error: BaseException, cause: OmegaConfBaseException, line: CommandLine) -> str:
    """Describe why a value cannot be set: there is no such key, or it cannot have the value."""
    full_key, node = str(cause.full_key), cause.parent_node
    if re.search(r"not in struct|not in '", str(cause)) and isinstance(node, DictConfig):
        allowed = [str(key) for key in node if key != "hydra" and not str(key).startswith("_")]
        if not allowed and "." in full_key:
            return f"{full_key}: {full_key.rpartition('.')[0]} is a value and has no keys"
        return f"{full_key}: {_unknown(full_key, str(node.get('name', '')), allowed, line)}"
    typed = re.match(r"Error merging override (.+)", str(error))
    return _of_value(cause, typed[1] if typed else full_key)


def _of_value(error: OmegaConfBaseException, typed: str | None = None) -> str:
    """Describe a value that OmegaConf refuses."""
    text = str(error).split("\n")[0]
    prefix = typed or str(error.full_key)
    if isinstance(error, MissingMandatoryValue):
        return f"{prefix}=???: needs a value"
    if re.search(_NO_NODE, text):
        return f"{error.full_key}: is a value and has no keys"
    for pattern, wording in _VALUES.items():
        if match := re.search(pattern, text):
            return f"{prefix}: {match.expand(wording)}"
    return f"{prefix}: {text}"


_NO_NODE = r"Cannot convert '(dict|DictConfig)' to"
_VALUES = {
    r"Invalid value '.*', expected one of \[(.*)\]": r"must be one of \1",
    r"is not a valid bool": "must be true or false",
    r"could not be converted to Integer": "must be an integer",
    r"could not be converted to Float": "must be a number",
    r"Interpolation key '(.*)' not found": r"${\1} means no key of the config",
    r"Environment variable '(.*)' not found": r"the environment variable \1 is not set",
    r"Unsupported interpolation type (\w+)": r"no function '\1' in ${\1:…}. Did you mean oc.env?",
    r"is not a ListConfig, list or tuple": "must be a list",
    r"is not a DictConfig, dict|Cannot assign (str|int|float|list)|Cannot merge": "must be a mapping: KEY: VALUE",
}


def _several(match: re.Match[str], line: CommandLine) -> str:
    key, _, value = match[1].partition("=")
    if key in line.vocabulary.lists and re.fullmatch(r"[^\[\]()]+", value):
        return f"{match[1]}: a list has brackets: '{key}=[{value}]'. Several values make a sweep: add -m"
    if re.fullmatch(r"-?\d,\d+", value):
        number = value.replace(",", ".")
        return f"{match[1]}: several values make a sweep: add -m. A decimal number has a point: {key}={number}"
    return f"{match[1]}: several values make a sweep: add -m"


def _no_group(match: re.Match[str], line: CommandLine) -> str:
    group = match[1]
    if "@" in group and "/" in group:
        name = group.rpartition("@")[2]
        return f"{match.string.split(chr(39))[1]}.yaml: 'override {name}' needs a slash: - override /{name}: OPTION"
    return f"{line.word_for(group) or group}: {no_key(group, None, [*AXES, *line.vocabulary.values], line.vocabulary)}"


def _twice(match: re.Match[str], line: CommandLine) -> str:
    return located(f"{match[1]}: is chosen already: write - override /{match[1]}: OPTION", match[1], line)


def _there_already(match: re.Match[str], line: CommandLine) -> str:
    word = line.word_for(match[1]) or match[1]
    return f"{word}: is in the config already: write {word.lstrip('+')}, without the plus"


_SENTENCES: dict[str, _Sentence] = {
    r"Ambiguous value for argument '(.*)'": _several,
    r"Sweep parameters '(.*)' requires --multirun": _several,
    r"Could not override '([^']+)'\. No match in the defaults list": _no_group,
    r"Could not override '([^']+)'": _no_group,
    r"looks like a config group override, but config group '(.*)' does not exist": _no_group,
    r"Could not append to config\. An item is already at '(.*)'": _there_already,
    r"Multiple values for (\S+)\. To override": _twice,
    r"(\S+) appears more than once in the final defaults list": _twice,
    r"Could not delete from config\. '(.*)' does not exist": (
        lambda match, line: f"~{match[1]}: {no_key(match[1], None, [*AXES, *line.vocabulary.values], line.vocabulary)}"
    ),
    r"Could not delete '(.*)'\. No match": lambda match, _: f"~{match[1]}: is not chosen",
    r"Sweeping over Hydra's configuration is not supported : '(.*)'": (
        lambda match, _: f"{match[1]}: a sweep has one value for all its runs here"
    ),
    r"Only one of --run": lambda *_: "-m, --cfg and --info: only one of them can be given",
    r"--resolve flag can only": lambda *_: "--resolve: needs --cfg job",
    r"Config (\S+) must be an OmegaConf config, got (\w+)": (
        lambda match, _: f"{match[1]}.yaml: must hold lines of KEY: VALUE"
    ),
}
