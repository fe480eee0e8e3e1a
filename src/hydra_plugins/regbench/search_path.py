"""Options of the user's own before the built-in ones: the folders that REGBENCH_CONFIG_PATH names."""

import os
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class UserConfigs(SearchPathPlugin):
    """Unlike --config-dir, which can add options only, these folders can replace a built-in one."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the folders in front, the first named first."""
        folders = [folder for folder in os.environ.get("REGBENCH_CONFIG_PATH", "").split(os.pathsep) if folder]
        for folder in reversed(folders):
            search_path.prepend("regbench-user", f"file://{Path(folder).resolve()}")
