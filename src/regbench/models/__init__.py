"""The networks, built from a config."""
