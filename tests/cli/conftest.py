from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import Ended


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> "Callable[..., Ended]":
    """`invoke("ls", "runs")`: a command in this process."""
    from regbench.cli import group
    from support import Ended

    def call(*arguments: str | Path) -> "Ended":
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            group.main([str(argument) for argument in arguments])
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    return call
