"""The command line: train, which Hydra reads, and the click commands."""
