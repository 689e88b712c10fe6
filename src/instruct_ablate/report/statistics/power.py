"""Power: how many seeds or tasks would decide a comparison that the data at hand leave open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from instruct_ablate.report.statistics.components import Components

MOST_SEEDS = 200
MOST_TASKS = 5_000


@dataclass(frozen=True, slots=True)
class Needed:
    """The smallest totals that would decide, each with the other left as it is; None: no number would."""

    seeds: int | None
    tasks: int | None


def needed(parts: Components, distance: float, size: tuple[int, int], power: float = 0.8) -> Needed:
    """Return the seeds or tasks at which a one-sided 5 % test succeeds with this power.

    `distance` is how far the mean lies on the right side of its bound (margin - |mean| for an equivalence,
    mean - bound for "exceeds"); the normal formula error <= distance / (z_alpha + z_power) (Chow, Shao & Wang
    2008), its quantiles Student's with the freedom that (seeds, tasks) would have. `size` is what is at hand; the
    answers are larger, for that has not decided.
    """
    if distance <= 0 or not np.isfinite(parts.error):
        return Needed(None, None)
    seeds, tasks = size
    return Needed(
        _smallest(lambda n: reach(parts, n, tasks, power) <= distance, seeds + 1, MOST_SEEDS),
        _smallest(lambda n: reach(parts, seeds, n, power) <= distance, tasks + 1, MOST_TASKS),
    )


def reach(parts: Components, seeds: int, tasks: int, power: float) -> float:
    """Return the smallest distance that so many seeds and tasks decide with this power."""
    by_seed = parts.seed / seeds
    by_task = parts.unit / tasks + parts.rest / (seeds * tasks)
    spread = by_task**2 / (tasks - 1) + (by_seed**2 / (seeds - 1) if seeds > 1 else 0.0)
    freedom = (by_seed + by_task) ** 2 / spread if spread > 0 else tasks - 1.0
    quantiles = stats.t.ppf(0.95, freedom) + stats.t.ppf(power, freedom)
    return float(quantiles) * error_at(parts, seeds, tasks)


def error_at(parts: Components, seeds: int, tasks: int) -> float:
    """Return the standard error of the mean that so many seeds and tasks would have."""
    variance = parts.seed / seeds + parts.unit / tasks + parts.rest / (seeds * tasks)
    return float(np.sqrt(variance))


def _smallest(decides: Callable[[int], bool], start: int, limit: int) -> int | None:
    """Bisect for the first number from `start` on that decides; None beyond `limit`."""
    if decides(start):
        return start
    if not decides(limit):
        return None
    low, high = start, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high
