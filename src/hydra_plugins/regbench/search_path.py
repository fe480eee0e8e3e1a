"""Options of the user's own before the built-in ones: the folders that REGBENCH_CONFIG_PATH names."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from regbench.config.location import user_config_dirs


class UserConfigs(SearchPathPlugin):
    """Unlike --config-dir, which can add options only, these folders can replace a built-in one."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the folders in front, the first named first."""
        for folder in reversed(user_config_dirs()):
            search_path.prepend("regbench-user", f"file://{folder}")
