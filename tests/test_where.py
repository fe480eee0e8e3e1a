"""The filter: what it selects, what it refuses, and that it executes nothing."""

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regbench.errors import UserError
from regbench.where import condition

RUN: dict[str, Any] = {
    "norm": "batch",
    "norm.eps": 1e-5,
    "norm.groups": math.nan,
    "clip_norm": None,
    "drop_last": True,
    "seed": 0,
    "model.hidden": (256, 128),
    "best_val.test_acc": 0.97,
}
KEYS = {key: key for key in RUN} | {"test_acc": "best_val.test_acc"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("norm=='batch'", True),
        ("norm != 'none'", True),
        ("norm in ['none', 'layer']", False),
        ("norm not in ('none', 'layer')", True),
        ("norm.eps<0.01 and norm!='none'", True),
        ("norm == 'none' or not seed > 0", True),
        ("(norm == 'none' or seed == 0) and test_acc >= 0.98", False),
        ("0 <= seed < 5", True),
        ("0 < seed < 5", False),
        ("test_acc > +0.969 and -1 < seed", True),
        ("best_val.test_acc==0.97", True),
        ("model.hidden == [256, 128]", True),
        ("clip_norm == null", True),
        ("clip_norm is None", True),
        ("clip_norm < 1", False),
        ("clip_norm in [null, 1]", True),
        ("drop_last", True),
        ("not drop_last", False),
        ("drop_last == true", True),
        ("drop_last == 1", False),
        ("norm.groups == 4", False),  # the option has no such argument
        ("norm.groups != 4", True),
        ("norm.groups < 4 or norm.groups >= 4", False),
        ("'a' < norm < 'c'", True),
        ("seed == 0.0", True),
    ],
)
def test_condition(text: str, holds: bool) -> None:
    assert condition(text, KEYS)(RUN) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nrom == 'batch'", r"no key 'nrom' in the runs. Did you mean 'norm'\?"),
        ("norm == batch", r"\(a text is quoted: 'batch'\) no key 'batch'"),
        ("norm = 'batch'", "cannot be read. Write == to compare"),
        ("", "cannot be read"),
        ("seed", "seed"),
        ("norm ==", "cannot be read"),
        ("seed + 1 == 2", "cannot be read"),
        ("open('/etc/passwd')", "cannot be read"),
        ("norm.upper() == 'BATCH'", "cannot be read"),
        ("[x for x in (1,)] == [1]", "cannot be read"),
        ("norm == f'{seed}'", "cannot be read"),
        ("(lambda: 1)() == 1", "cannot be read"),
        ("norm[0] == 'b'", "cannot be read"),
        ("norm == b'x'", "cannot be read"),
        ("seed == 1j", "cannot be read"),
        ("(" * 500 + "seed == 0" + ")" * 500, "cannot be read"),
        ("seed == 0 or " * 1000 + "seed == 0", "cannot be read"),
        ("seed == 0\0", "cannot be read"),
        ("norm.__class__ == 1", "no key 'norm.__class__'"),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str, message: str) -> None:
    if text == "seed":  # a number is no truth
        assert condition(text, KEYS)(RUN) is False
        return
    with pytest.raises(UserError, match=message) as error:
        condition(text, KEYS)
    assert "\n" not in str(error.value)


def test_text_and_number_have_no_order() -> None:
    with pytest.raises(UserError, match="'batch' and 3 cannot be compared by size"):
        condition("norm < 3", KEYS)(RUN)


@settings(deadline=None)
@given(st.text(alphabet="normsed .()=<>'[]01,and or not in\n_", max_size=40))
def test_any_text_is_a_condition_or_a_mistake(text: str) -> None:
    with suppress(UserError):
        assert condition(text, KEYS)(RUN) in (True, False)


NUMBERS = st.floats(-10, 10)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_numbers_compare_as_in_python(left: float, right: float, sign: str) -> None:
    import operator

    signs = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
    expected = getattr(operator, signs[sign])(left, right)
    assert condition(f"x {sign} {right!r}", {"x": "x"})({"x": left}) is expected
