"""Text of others, for each target."""

import pytest

from regbench.text import for_csv, for_markdown, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[x](javascript:alert(1))", r"[x]\(javascript:alert(1))"),
        ("[x][y] [y]: javascript:1", r"[x]\[y] [y]\: javascript:1"),
        ("optimizer=sgd lr=0.1", "optimizer=sgd lr=0.1"),
    ],
)
def test_markdown_has_no_tag_no_link_and_no_cell_of_others(text, expected):
    assert for_markdown(text) == expected


@pytest.mark.parametrize("text", ["=1+1", "@x", "+x", "-x", "\t=1", "'=1", "''@x"])
def test_a_formula_gets_an_apostrophe_that_can_be_taken_away(text):
    assert for_csv(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1", "+1e-3", "a=1", "'quoted'", 5, -0.5, None])
def test_numbers_and_words_stay_in_csv(value):
    assert for_csv(value) == value


def test_characters_that_steer_are_visible():
    assert (
        printable("a\x1b[2J\u202e\u200b\r\nb é ±")
        == "a\N{REPLACEMENT CHARACTER}[2J" + 4 * "\N{REPLACEMENT CHARACTER}" + "b é ±"
    )
