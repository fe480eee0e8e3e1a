"""Plugins of regbench, in a package because Hydra looks into nothing else."""
