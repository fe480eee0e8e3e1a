"""Words that several modules know. Imports nothing, as completion must be quick."""

OWN_CONFIGS = ("--config-dir", "-cd")  # whose folder adds options
HELP_ALL = "--help-all"  # the help of train with all that it knows
CONFIG_FOLDERS = (*OWN_CONFIGS, "--config-path", "-cp")  # that name a folder of configs
EMPTY = "an argument is empty, perhaps a variable of the shell that is not set"
