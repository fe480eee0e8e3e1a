"""Run directories: write, read, list, remove."""
