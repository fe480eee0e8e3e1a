"""Flags of `regbench train` that several modules know. Imports nothing, as completion must be quick."""

OWN_CONFIGS = ("--config-dir", "-cd")  # whose folder adds options
CONFIG_FOLDERS = (*OWN_CONFIGS, "--config-path", "-cp")  # that name a folder of configs
