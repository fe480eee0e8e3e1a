"""Words of `regbench train` that several modules know. Imports nothing, as completion must be quick."""

SHORT = {"study": "runtime.study", "diagnostics": "runtime.diagnostics", "tracker": "runtime.tracker"}
OWN_CONFIGS = ("--config-dir", "-cd")  # flags whose folder adds options
CONFIG_FOLDERS = (*OWN_CONFIGS, "--config-path", "-cp")  # flags that name a folder of configs
