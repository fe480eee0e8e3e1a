"""regbench: which training technique helps, by how much, and is the difference real?"""
