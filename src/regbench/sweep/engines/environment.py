"""Environment variables of processes that train. The libraries below torch read them when torch is imported."""


def of_worker(threads: int) -> dict[str, str]:
    """Name the variables that keep workers from fighting for cores."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
