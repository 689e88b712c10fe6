"""A power law of scores in the number of examples: a n^-b + c by least squares, with intervals over seeds and tasks.

For every exponent of a fixed grid a and c are linear, and the exponent with the smallest squares is taken: no start
value, no iteration that could end elsewhere on another machine. Intervals are percentiles over studies drawn anew,
seeds and tasks with replacement, the same ones at every budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FEWEST = 4  # budgets: three points are on some such curve, whatever they are
EXPONENTS = np.geomspace(0.02, 5.0, 240)
DRAWS = 1000
FLAT = 1e-9  # a spread of the means below which there is no curve
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with the interval over resampled seeds and tasks."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """score = amount * n^-exponent + limit, and the score that it foretells at twice the largest budget.

    `doubled` is None where it is no score that can be, and the ends of its interval are such; `possible`: the limit is.
    """

    amount: float
    exponent: Interval
    limit: Interval
    doubled: Interval | None
    residual: float  # the largest distance of a budget's mean from the curve
    bounded: bool  # at an end of the grid, or no curve at all: the budgets tell no exponent
    possible: bool = True

    def at(self, budget: float) -> float:
        """Return the curve's value."""
        return float(self.amount * budget**-self.exponent.value + self.limit.value)


def fit(budgets: Sequence[float], values: Array, scale: tuple[float, float] | None = None) -> PowerLaw:
    """Fit a curve to values [budgets, seeds, tasks] on a scale from .. to; fewer than four budgets are refused."""
    if len(set(budgets)) < FEWEST or len(budgets) != len(set(budgets)):
        raise ValueError(f"a power law has three parameters: {len(set(budgets))} budgets do not tell them")
    sizes = np.asarray(budgets, dtype=float)
    means = values.mean(axis=(1, 2))[None]
    amount, exponent, limit = (float(one[0]) for one in _curves(sizes, means))
    again = _curves(sizes, _drawn(values))
    twice = 2 * sizes.max()
    low, high = scale or (-np.inf, np.inf)
    ahead = amount * twice**-exponent + limit
    doubled = np.clip(again[0] * twice ** -again[1] + again[2], low, high)
    curve = amount * sizes**-exponent + limit
    return PowerLaw(
        amount,
        _interval(exponent, again[1]),
        _interval(limit, again[2]),
        _interval(ahead, doubled) if _within(ahead, low, high) else None,
        float(np.abs(curve - means[0]).max()),
        bool(exponent in (EXPONENTS[0], EXPONENTS[-1]) or np.ptp(means) < FLAT),
        _within(limit, low, high),
    )


def _within(value: float, low: float, high: float) -> bool:
    return bool(low - FLAT <= value <= high + FLAT)


def _curves(sizes: Array, means: Array) -> tuple[Array, Array, Array]:
    """Return amount, exponent and limit of each row of means [rows, budgets]."""
    squares, solved = [], []
    for design, inverse in _designs(tuple(sizes.tolist())):
        found = inverse @ means.T
        squares.append(((design @ found - means.T) ** 2).sum(axis=0))
        solved.append(found)
    best = np.argmin(np.array(squares), axis=0)
    amount, limit = np.array(solved)[best, :, np.arange(len(means))].T
    exponent = EXPONENTS[best]
    return amount * sizes[0] ** exponent, exponent, limit


@lru_cache(maxsize=8)
def _designs(sizes: tuple[float, ...]) -> tuple[tuple[Array, Array], ...]:
    """Return for every exponent the design at these budgets and its inverse: a study's curves share theirs."""
    made = np.array(sizes)
    # In units of the smallest budget: a thousand to the power of -5 would be lost beside the column of ones.
    designs = [np.stack([(made / made[0]) ** -one, np.ones_like(made)], axis=1) for one in EXPONENTS]
    return tuple((design, np.linalg.pinv(design)) for design in designs)


def _drawn(values: Array) -> Array:
    """Return the budgets' means of resampled studies [draws, budgets]."""
    # The same draws each time: the same disk gives the same report, byte for byte.
    chance = np.random.default_rng(0)
    _, seeds, tasks = values.shape
    made: list[Any] = []
    for _ in range(DRAWS):
        chosen = values[:, chance.integers(0, seeds, seeds)][:, :, chance.integers(0, tasks, tasks)]
        made.append(chosen.mean(axis=(1, 2)))
    return np.array(made)


def _interval(value: float, drawn: Array) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
