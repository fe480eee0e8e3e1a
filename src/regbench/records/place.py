"""Whether a run can be kept where its config says."""

import os
from pathlib import Path

from regbench.config.run_config import RunConfig
from regbench.errors import UserError
from regbench.records.run_status import study_path


def check_place(config: RunConfig, run: Path) -> None:
    """Find out whether the folders of the study and the run can be written, without making them.

    Raises:
        UserError: one cannot be written, or is a link.
    """
    study = study_path(config.runtime)
    try:
        link = next((folder for folder in (study, run) if folder.is_symlink()), None)
        folder = next(folder for folder in (study, *study.parents) if folder.exists())
    except OSError as error:
        raise no_place(config, error.strerror) from None
    if link:
        raise UserError(f"{link}: is a link, which is not written through. Name the place by runtime.dir, or remove it")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise no_place(config, folder)


def no_place(config: RunConfig, culprit: object) -> UserError:
    """Say that the folder of all runs cannot be written."""
    return UserError(f"runtime.dir={config.runtime.dir}: must be a folder that can be written: {culprit}")
