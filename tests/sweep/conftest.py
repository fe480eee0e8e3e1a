from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from regbench.experiment.run import Run


@pytest.fixture
def four_runs(make_config: Any, tmp_path: Path) -> "list[Run]":
    """Two norms, two seeds, three epochs, all in one folder."""
    from regbench.experiment.run import Run

    runs = []
    for words in ([f"norm={norm}", f"seed={seed}"] for norm in ("none", "batch") for seed in (0, 1)):
        words = [*words, "epochs=3", f"runtime.dir={tmp_path}"]
        runs.append(Run(make_config(*words), words))
    return runs
