"""The command line: train, which Hydra reads, and the click commands.

Others use `main` (`main`) and `train` (`train`).
"""
