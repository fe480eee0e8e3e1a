"""Who trains the runs of a sweep: this process, other processes, a cluster."""
