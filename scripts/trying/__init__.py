"""Real schedulers and databases, small and on this machine, and what sweeps and searches do on them."""
