from typing import Annotated, Any, Literal

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, NonNegativeFloat, PositiveInt, ValidationError, create_model

from regbench.config.registry import Checked
from regbench.config.run_config import AXES, RunConfig, Runtime
from regbench.config.wording import describe, wrong_value
from regbench.errors import no_such
from regbench.experiment.checks import registries
from regbench.text import shown

Decay = Annotated[float, Field(ge=0, lt=1)]


class Inner(Checked):
    rate: Decay = 0.5
    threads: Literal["auto"] | PositiveInt = "auto"


class Schema(Checked):
    rate: Decay = 0.5
    widths: Annotated[list[PositiveInt], Field(min_length=1)] = Field(default_factory=lambda: [1])
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    kind: Literal["none", "unit", "standard"] = "none"
    limit: Annotated[float | None, Field(gt=0)] = None
    on: bool = False
    inner: Inner = Inner()


def message(schema: type[BaseModel], values: dict[str, Any], prefix: str = "") -> str:
    with pytest.raises(ValidationError) as caught:
        schema.model_validate(values)
    return str(wrong_value(caught.value, schema, prefix))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "an integer"),
        (float, "a number"),
        (bool, "true or false"),
        (str, "text"),
        (str | None, "null or text"),
        (None | float, "null or a number"),
        (NonNegativeFloat, "a number of at least 0"),
        (PositiveInt, "an integer above 0"),
        (Decay, "a number in [0, 1)"),
        (Annotated[float, Field(gt=0, le=1)], "a number in (0, 1]"),
        (Annotated[float, Field(le=1)], "a number of at most 1"),
        (Annotated[float, Field(lt=1)], "a number below 1"),
        (Annotated[float | None, Field(gt=0)], "null or a number above 0"),
        (PositiveInt | None, "null or an integer above 0"),
        (Annotated[int, Field(ge=1)] | None, "null or an integer of at least 1"),
        (Literal["auto"] | PositiveInt, "auto or an integer above 0"),
        (Literal["fan_in", "fan_out"], "fan_in or fan_out"),
        (Literal["none", "unit", "standard"], "one of none, unit, standard"),
        (list[PositiveInt], "a list, each an integer above 0"),
        (Annotated[list[PositiveInt], Field(min_length=1)], "a list of at least 1, each an integer above 0"),
        (Inner, "a mapping"),
        (Annotated[str, Field(pattern="^a$", title="the letter a")], "the letter a"),
    ],
)
def test_what_a_field_allows_in_words(annotation, words):
    schema: type[BaseModel] = create_model("Sample", value=(annotation, ...))
    assert describe(schema.model_fields["value"]) == words


def test_a_pair_is_described_as_one():
    assert describe(Schema.model_fields["betas"]) == "a list of 2, each a number in [0, 1)"


def test_every_value_that_a_user_can_set_is_described():
    options = [registry.schema(name) for registry in registries().values() for name in registry]
    fields = {
        f"{schema.__name__}.{key}": field
        for schema in (RunConfig, Runtime, *options)
        for key, field in schema.model_fields.items()
        if key not in (*AXES, "runtime")
    }
    assert len(fields) > 60
    vague = {key for key, field in fields.items() if "mapping" in describe(field) or "typing" in describe(field)}
    assert not vague


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rate": 1.5}, "rate=1.5: must be a number in [0, 1)"),
        ({"rate": "abc"}, "rate=abc: must be a number in [0, 1)"),
        ({"rate": None}, "rate=null: must be a number in [0, 1)"),
        ({"rate": float("nan")}, "rate=nan: must be a number in [0, 1)"),
        ({"rate": {"a": 1}}, "rate={'a': 1}: must be a number in [0, 1)"),
        ({"on": "perhaps"}, "on=perhaps: must be true or false"),
        ({"kind": "Unit"}, "kind=Unit: must be one of none, unit, standard. Did you mean 'unit'?"),
        ({"kind": "black"}, "kind=black: must be one of none, unit, standard"),
        (
            {"inner": {"threads": "auot"}},
            "inner.threads=auot: must be auto or an integer above 0. Did you mean 'auto'?",
        ),
        ({"limit": 0}, "limit=0: must be null or a number above 0"),
        ({"limit": float("inf")}, "limit=inf: must be null or a finite number above 0"),
        ({"widths": []}, "widths=[]: must be a list of at least 1, each an integer above 0"),
        ({"inner": 3}, "inner=3: must be a mapping"),
        ({"inner": {"rate": 2}}, "inner.rate=2: must be a number in [0, 1)"),
        ({"inner": {"threads": 1.5}}, "inner.threads=1.5: must be auto or an integer above 0"),
        ({"inner": {"threads": 0}}, "inner.threads=0: must be auto or an integer above 0"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(values, words):
    assert message(Schema, values) == words
    assert message(Schema, values, "axis.") == f"axis.{words}"


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"widths": 5}, "As in 'axis.widths=[5]'"),
        ({"widths": "5"}, "As in 'axis.widths=[5]'"),
        ({"rate": "0-9"}, "A range is -m 'axis.rate=range(0,10)'"),
        ({"limit": "0..3"}, "A range is -m 'axis.limit=range(0,4)'"),
    ],
    ids=str,
)
def test_what_to_type_instead_is_said(values, hint):
    assert message(Schema, values, "axis.").endswith(f". {hint}")


@pytest.mark.parametrize(("value", "word"), [(True, "on"), (False, "off")])
def test_a_bare_on_or_off_of_yaml_is_the_word(value, word):
    schema: type[Checked] = create_model("Sample", __base__=Checked, switch=(Literal["on", "off"], ...))
    assert schema.model_validate({"switch": value}).switch == word  # type: ignore[attr-defined]


def test_a_key_that_is_wrong_comes_before_one_that_is_missing():
    schema: type[BaseModel] = create_model("Sample", __base__=Checked, rate=(Decay, ...))
    assert message(schema, {"ratee": 0.5}) == "ratee: no key 'ratee' in the config. Did you mean 'rate'?"


def test_a_wrong_element_of_a_list_is_named():
    words = message(Schema, {"widths": [3, -1, 0]})
    assert words.startswith("widths[1]=-1: must be ")
    assert words.endswith("an integer above 0")
    assert message(Schema, {"betas": [0.9, 1.0]}).startswith("betas[1]=1: must be ")


@pytest.mark.parametrize("value", [[0.9], [0.9, 0.99, 0.999]], ids=str)
def test_a_pair_of_the_wrong_length_is_shown_as_given(value):
    words = message(Schema, {"betas": value})
    assert words.startswith(f"betas={shown(value)}: must be ")
    assert "missing" not in words


def test_an_unknown_key_is_named_with_its_nearest_match():
    assert message(Schema, {"rat": 1}) == ("rat: no key 'rat' in the config. Did you mean 'rate'?")
    assert message(Schema, {"inner": {"treads": 1}}) == (
        "inner.treads: no key 'treads' in 'inner'. Did you mean 'threads'?"
    )


def test_a_missing_key_is_named():
    schema: type[BaseModel] = create_model("Sample", rate=(Decay, ...))
    assert message(schema, {}, "axis.") == "axis.rate is missing: must be a number in [0, 1)"


def test_no_such_names_the_nearest_and_sorts_what_there_is():
    assert no_such("option", "bacth", "'norm'", ["none", "layer", "batch"]) == (
        "no option 'bacth' in 'norm'. Did you mean 'batch'?"
    )
    assert no_such("option", "zzz", "'norm'", ["none"]) == "no option 'zzz' in 'norm'. Allowed: none"
    assert no_such("option", "x", "'norm'", []) == "no option 'x' in 'norm'. Allowed: nothing"


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)


@given(plain | st.lists(plain | st.lists(plain, max_size=2), max_size=4))
def test_a_value_is_shown_as_the_command_line_reads_it(value):
    read = OverridesParser.create().parse_override(f"key={shown(value)}").value()
    assert read == value


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (True, "true"), (1, "1"), (1.0, "1"), ("a", "a"), ((0.9, None), "[0.9,null]")]
)
def test_shown(value, text):
    assert shown(value) == text
