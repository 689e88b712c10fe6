"""Processes that a launcher started together for one cell (torchrun, srun): how many, and which of them this is."""

from __future__ import annotations

import os

# What launchers that start every process themselves leave in the environment: place, and number of all.
RANKS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))


def process_count() -> int:
    """Return how many processes were started for this cell; 1 where this one is alone."""
    return max(_count(place, total) for place, total in RANKS)


def rank() -> int:
    """Return this process's place among those started for the same cell; 0 is the first."""
    return next((int(os.environ[place]) for place, total in RANKS if _count(place, total) > 1), 0)


def _count(place: str, total: str) -> int:
    return int(os.environ.get(total, "1")) if place in os.environ else 1
