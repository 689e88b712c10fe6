"""Power: what a design can show, and how many seeds or tasks would decide what it leaves open.

The power is that of the very tests that verdicts rest on: their mean squares are chi-squares, drawn at fixed
points, so that a number comes out the same whenever it is asked for. With many seeds and tasks it is the textbook
power of two one-sided tests, Phi((D - mu) / se - z) + Phi((D + mu) / se - z) - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import chdtri, ndtr

from instruct_ablate.report.statistics.variance.components import Array, Components, Squares
from instruct_ablate.report.statistics.variance.error import Crossed, Error, Floor, error_of
from instruct_ablate.report.statistics.variance.seed_pool import LEAST_FREEDOM

POWER = 0.8
LEVEL = 0.05
MOST_SEEDS = 200
MOST_TASKS = 5_000
_POINTS = 256


@dataclass(frozen=True, slots=True)
class Design:
    """Seeds by tasks, with the variance components of a difference; `floor` is a task's share of instance noise."""

    parts: Components
    seeds: int
    tasks: int
    floor: float = 0.0
    crossed: tuple[Crossed, ...] = ()  # templates: as many as there are, however many seeds or tasks

    @property
    def error(self) -> float:
        """The true standard error of the mean."""
        parts = self.parts
        unit = max(parts.unit + parts.rest / self.seeds, self.floor)
        further = sum(max(0.0, float(one.square) - float(one.rest)) for one in self.crossed)
        return float(np.sqrt(parts.seed / self.seeds + unit / self.tasks + further))

    @property
    def known(self) -> bool:
        """Whether all components are known and there are tasks enough for an error."""
        return self.tasks > 1 and bool(np.isfinite([self.parts.seed, self.parts.unit, self.parts.rest]).all())

    def half_widths(self, level: float) -> Array:
        """Return half widths that the interval of one-sided tests at `level` will have, over chance in the squares."""
        seeds, tasks, parts = self.seeds, self.tasks, self.parts
        unit = max(seeds * parts.unit + parts.rest, seeds * self.floor)
        one, two, three = _chi_squares(seeds, tasks)
        seed, rest = (parts.rest + tasks * parts.seed) * one, parts.rest * three
        squares = Squares(seeds, tasks, np.zeros(_POINTS), seed, unit * two, rest)
        # One seed is judged by the pool of other settings, which has so many degrees of freedom at the least.
        pooled = Error(parts.seed, LEAST_FREEDOM, 0.0, 1.0) if seeds < 2 else None
        floor = Floor(self.floor / tasks, max(tasks - 1.0, 1.0), whole=True)
        crossed = tuple(_by_chance(one, place) for place, one in enumerate(self.crossed))
        return error_of(squares, floor, pooled, crossed).half_width(2 * level)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a test is to show: a mean within (`equals`) or above (`exceeds`) a margin; the truth is stated, not seen."""

    verb: str
    margin: float
    truth: float = 0.0  # the true difference that power is stated for
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class Needed:
    """The smallest totals that would decide, each with the other left as it is; None: no number would."""

    seeds: int | None
    tasks: int | None


def power(design: Design, aim: Aim) -> float:
    """Return the probability that this design shows what the aim says, if the truth is as stated."""
    half, error = design.half_widths(aim.level), design.error
    if aim.verb == "equals":
        return float(_between(-aim.margin + half - aim.truth, aim.margin - half - aim.truth, error).mean())
    if aim.verb == "exceeds":
        return float(_above(aim.margin + half - aim.truth, error).mean())
    return float(_above(aim.margin + half + aim.truth, error).mean())


def _between(low: Array, high: Array, error: float) -> Array:
    if error == 0:
        return np.where((low < 0) & (high > 0), 1.0, 0.0)
    return np.asarray(np.maximum(0.0, ndtr(high / error) - ndtr(low / error)))


def _above(bound: Array, error: float) -> Array:
    return np.asarray(np.where(bound < 0, 1.0, 0.0) if error == 0 else ndtr(-bound / error))


def needed_for(design: Design, aim: Aim, wanted: float = POWER) -> Needed:
    """Return the smallest number of seeds, and of tasks, that shows the aim with this power.

    The answers are larger than the numbers at hand, for those have not decided.
    """
    if not design.known:
        return Needed(None, None)

    def enough(changed: Design) -> bool:
        return power(changed, aim) >= wanted

    return Needed(
        smallest(lambda n: enough(replace(design, seeds=n)), design.seeds + 1, MOST_SEEDS),
        smallest(lambda n: enough(replace(design, tasks=n)), design.tasks + 1, MOST_TASKS),
    )


def detectable(design: Design, level: float = LEVEL, wanted: float = POWER) -> float:
    """Return the smallest true difference that a two-sided test at `level` finds with this power."""
    if not design.known:
        return float("nan")
    half, error = design.half_widths(level / 2), design.error
    return _least(lambda d: float((_above(half - d, error) + _above(half + d, error)).mean()), wanted)


def equal_margin(design: Design, level: float = LEVEL, wanted: float = POWER) -> float:
    """Return the smallest margin within which two equal settings would be called so with this power."""
    if not design.known:
        return float("nan")
    half, error = design.half_widths(level), design.error
    return _least(lambda d: float(_between(half - d, d - half, error).mean()), wanted)


def _least(chance: Callable[[float], float], wanted: float) -> float:
    """Bisect for the least number of points that has this chance; beyond 100 points there is none."""
    low, high = 0.0, 100.0
    if chance(high) < wanted:
        return float("inf")
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) >= wanted else (middle, high)
    return high


@lru_cache(maxsize=256)
def _chi_squares(seeds: int, tasks: int) -> tuple[Array, Array, Array]:
    """Return the three mean squares, each in units of its expectation, at fixed points."""
    steps = 1.2207440846057596 ** -np.arange(1.0, 4.0)  # the additive sequence R3: even in three dimensions
    tails = (0.5 + np.outer(steps, np.arange(1, _POINTS + 1))) % 1
    freedoms = (max(seeds - 1, 1), tasks - 1, max((seeds - 1) * (tasks - 1), 1))
    one, two, three = (chdtri(freedom, tail) / freedom for freedom, tail in zip(freedoms, tails, strict=True))
    return one, two, three


def _by_chance(one: Crossed, place: int) -> Crossed:
    """Return a further effect with its square as chance will have it, at points of their own."""
    # The additive sequence in one dimension (golden ratio), turned for each further effect: two at the same points
    # would be great and small together.
    tails = (0.5 + (0.6180339887498949 + place * 2**0.5) * np.arange(1, _POINTS + 1)) % 1
    return replace(one, square=float(one.square) * chdtri(one.freedom, tails) / one.freedom)


def smallest(decides: Callable[[int], bool], start: int, limit: int) -> int | None:
    """Bisect for the first number from `start` on that decides; None beyond `limit`."""
    # To bisect is right since power grows with seeds and with tasks.
    if start > limit or not decides(limit):
        return start if start <= limit and decides(start) else None
    if decides(start):
        return start
    low, high = start, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high
