"""Environment variables of processes that train. The libraries below torch read them when torch is imported."""

import os

# How long a waiting OpenMP thread spins before it sleeps. Sweeps on 2 cores, by OpenMP's default, with this and with 0:
# on a quiet machine 13.9, 15.1 and 18.2 s, beside one busy program 7.1, 5.8 and 6.3 s.
SPINNING = {"GOMP_SPINCOUNT": "1000"}


def set_spinning() -> None:
    """Have the OpenMP threads of this process, and of those that it starts, spin less. A user's value stays."""
    for key, value in SPINNING.items():
        os.environ.setdefault(key, value)


def of_worker(threads: int) -> dict[str, str]:
    """Name the variables that keep workers from fighting for cores."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
