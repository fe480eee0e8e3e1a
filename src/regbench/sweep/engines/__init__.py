"""Who trains the runs of a sweep: this process, others, a cluster."""
