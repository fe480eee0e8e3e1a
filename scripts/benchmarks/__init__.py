"""What `scripts/bench` times: a module for each of its commands, and the loops that people would write instead."""
