"""Conditions on the values of runs: what they mean, and what they refuse."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regbench.condition import Expression, condition
from regbench.errors import UserError

VALUES = {
    "norm": "batch",
    "norm.eps": 1e-5,
    "init": "kaiming",
    "optimizer": "adam",
    "optimizer.lr": 0.001,
    "model.hidden": (256, 128),
    "dropout": 0.2,
    "clip_norm": None,
    "drop_last": False,
    "force": True,
    "seed": 3,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("norm == batch", True),
        ("norm == 'batch'", True),
        ("norm != none", True),
        ("norm == none", False),
        ("optimizer.lr < 0.01 and norm!='none'", True),
        ("optimizer.lr < 0.01 and norm == none or seed == 3", True),
        ("optimizer.lr < 0.01 and (norm == none or seed == 4)", False),
        ("not norm == batch", False),
        ("0 < dropout <= 0.2", True),
        ("0.2 < dropout", False),
        ("norm in (batch, layer)", True),
        ("norm in [none, layer]", False),
        ("norm not in [none, layer]", True),
        ("256 in model.hidden", True),
        ("model.hidden == [256, 128]", True),
        ("seed % 2 == 1", True),
        ("seed // 2 + 1 == 2", True),
        ("seed * 2 - 1 == 5", True),
        ("seed / 2 > 1.4", True),
        ("-seed < -2", True),
        ("optimizer.lr * 100 < dropout", True),
        ("clip_norm == null", True),
        ("clip_norm > 1", False),
        ("clip_norm + 1 > 1", False),
        ("drop_last == false and force == true", True),
        ("force", True),
        ("drop_last", False),
        ("not drop_last", True),
        ("init == norm", False),
        ("norm.momentum > 0", False),
        ("norm.momentum <= 0", False),
        ("norm.momentum", False),
        ("norm.momentum != 4", False),
        ("force == 1", False),
        ("force in [1, 2]", False),
        ("clip_norm in [null, 1]", True),
        ("'a' < norm < 'c'", True),
        ("seed == 3.0", True),
    ],
)
def test_what_a_condition_means(text, expected):
    assert Expression(text)(VALUES) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "norm ==",
        "norm = batch",
        "__import__('os').system('true')",
        "norm.upper() == 'BATCH'",
        "[x for x in model.hidden]",
        "(lambda: 1)()",
        "model.hidden[0] == 256",
        "seed ** 9 == 1",
        "f'{seed}' == 3",
        "(norm := 1)",
        "norm if seed else init",
        "{1: 2} == 3",
        "~seed == 1",
        "seed << 99 > 1",
        "b'x' == norm",
        "1j == seed",
        "'batch'.x == norm",
        "norm == batch; seed",
        "seed is 3",
        "(" * 999 + "1" + ")" * 999,
        "not " * 9999 + "seed",
        "\0",
    ],
    ids=range(23),
)
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(UserError) as error:
        Expression(text)(VALUES)
    assert "Allowed: comparisons" in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("norm < 3", "neither is less"),
        ("norm + 1 == 2", "only numbers"),
        ("model.hidden * 2 == 1", "only numbers"),
        ("norm * 999999999 == 1", "only numbers"),
        ("norm in optimizer", "a list must follow"),
        ("1 / (seed - 3) > 1", "division"),
    ],
)
def test_values_that_do_not_fit_are_one_line(text, reason):
    with pytest.raises(UserError, match=reason):
        Expression(text)(VALUES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("norm", r"norm: batch is neither true nor false\. Compare it, as in 'norm == batch'$"),
        ("not norm", "batch is neither"),
        ("drop_last == false and norm", "batch is neither"),
        ("'norm == batch'", "norm == batch is neither"),
        ("[norm, init]", "is neither"),
        ("model.hidden", r"\[256,128\] is neither"),
        ("seed", r"3 is neither true nor false\. Compare it, as in 'epochs > 5'$"),
        ("seed % 2", "1 is neither"),
        ("1", "1 is neither"),
    ],
)
def test_what_is_neither_true_nor_false_is_no_condition(text, reason):
    with pytest.raises(UserError, match=reason):
        Expression(text)(VALUES)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("test_acc > 88", "0.88"),
        ("test_acc=97.5", "0.975"),
        ("0.5 < last.val_acc < 95", "0.95"),
        ("train_acc not in [90, 1]", "0.9"),
        ("test_acc - 90 > 0", "0.9"),
        ("-test_acc < -90", "0.9"),
        ("norm == batch or not test_acc > 8 * 10", "0.8"),
        ("best_val.test_acc - last.test_acc > 2", "0.02"),
    ],
)
def test_accuracies_are_fractions_and_the_cure_is_in_the_line(text, fraction):
    with pytest.raises(UserError, match=f"_acc is a fraction: write {fraction} instead of "):
        condition(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test_acc > 0.9", True),
        ("test_acc < 1", True),
        ("test_acc <= 1.0", True),
        ("100 * test_acc > 90", True),
        ("test_acc * 100 - 90 > 5", True),
        ("test_acc > 90 / 100", True),
        ("test_acc > 0.9 and epochs > 4", True),
        ("test_loss < 3", True),
    ],
)
def test_fractions_and_percentages_that_are_meant(text, expected):
    assert condition(text)({"test_acc": 0.96, "test_loss": 2.0, "epochs": 5}) is expected


def test_a_key_that_does_not_exist_is_named_with_the_nearest():
    expression = Expression("nrom == batch and 0 < optimizer.rl and seed + x > 1")
    assert expression.keys == ["nrom", "optimizer.rl", "seed", "x"]
    with pytest.raises(UserError, match=r"no key 'nrom' in the runs\. Did you mean 'norm'"):
        expression.check(VALUES, "the runs")
    Expression("norm == btach").check(VALUES, "the runs")


@given(st.text(max_size=30))
def test_whatever_is_written_ends_in_a_truth_or_a_user_error(text):
    with contextlib.suppress(UserError):
        assert Expression(text)(VALUES) in (True, False)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_numbers_compare_as_numbers(left, right):
    assert Expression(f"a < {right!r}".replace("inf", "1e999"))({"a": left}) is (left < right)


def test_signs_of_equality_between_and_and_or_are_what_they_look_like():
    holds = condition("norm=batch and seed=0 or norm='layer'")
    assert [holds({"norm": norm, "seed": seed}) for norm, seed in (("batch", 0), ("batch", 1), ("layer", 1))] == [
        True,
        False,
        True,
    ]
