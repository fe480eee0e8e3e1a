"""The training loop: stacks, lanes, recorded steps. Touches no file and prints nothing."""
