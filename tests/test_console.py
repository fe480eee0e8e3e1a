"""What is shown while something takes long."""

import io
import sys

import pytest

from regbench.console import meanwhile


@pytest.mark.parametrize(("is_terminal", "written"), [(True, "loading\r       \r"), (False, "")])
def test_a_word_stands_on_a_terminal_until_the_block_ends(
    is_terminal: bool, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(ValueError, match="broken"), meanwhile("loading"):
        assert stream.getvalue() == ("loading" if is_terminal else "")
        raise ValueError("broken")
    assert stream.getvalue() == written


@pytest.mark.parametrize("is_terminal", [True, False])
def test_without_a_terminal_it_is_a_line_if_wanted(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with meanwhile("loading", as_line=True):
        assert capsys.readouterr().out == ("" if is_terminal else "loading\n")
