"""The error of a mean difference: one rule for its interval and for its p-values.

    half width(alpha)^2 = t(seeds)^2 * seed term + max(t(tasks)^2 * task term, t(instances)^2 * floor)
                          + t(templates)^2 * template term, where there are several templates

Each term carries Student's quantile at its own degrees of freedom (Cochran & Cox 1957). One Satterthwaite freedom
for their sum is what is usual, and it is rash where the few seeds carry the variance: at two seeds its 95 %
interval covers as little as 88 %. The seed term is the seeds' mean square less a part of the rest's: with all of
the rest taken off, chance makes it vanish just where it is needed. How often it may vanish goes with the level: at
0.5 %, as the first steps of Holm and early looks ask, a term that is zero a third of the time would be all the error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import fdtri, stdtrit

from instruct_ablate.report.statistics.components import Array, Squares

USUAL = 0.05  # alpha of the usual interval


@dataclass(frozen=True, slots=True)
class Floor:
    """The least variance that a mean difference can have: what its test instances leave open."""

    variance: float
    freedom: float
    stated: str = ""  # what stands in for paired outcomes where these are not at hand


@dataclass(frozen=True, slots=True)
class Crossed:
    """A further effect that tasks are crossed with, as seeds are: its part in the variance of the mean, before
    what the rest puts there by chance is taken off.
    """

    square: Array | float
    rest: Array | float
    freedom: float

    def term(self, units: int, alpha: float | Array) -> Array:
        """Return the variance of the mean that it answers for, in a two-sided interval at level 1 - alpha."""
        return seed_term(np.asarray(self.square), np.asarray(self.rest), self.freedom, units, alpha)


@dataclass(frozen=True, slots=True)
class Error:
    """Variances of a mean difference by where they come from, each with its degrees of freedom."""

    seed: Array | float
    seed_freedom: float
    unit: Array | float
    unit_freedom: float
    floor: Array | float = 0.0
    floor_freedom: float = 1.0
    rest: Array | float = 0.0  # of which `seed` has a part by chance
    units: int = 2
    crossed: tuple[Crossed, ...] = ()  # templates

    @property
    def variance(self) -> Array:
        """The estimated variance of the mean."""
        further = sum((one.term(self.units, USUAL) for one in self.crossed), np.asarray(0.0))
        return np.asarray(self.seed_term() + further + np.maximum(self.unit, self.floor))

    def seed_term(self, alpha: float | Array = USUAL) -> Array:
        """Return the variance of the mean that the seeds answer for, in a two-sided interval at level 1 - alpha."""
        return seed_term(np.asarray(self.seed), np.asarray(self.rest), self.seed_freedom, self.units, alpha)

    def half_width(self, alpha: float | Array) -> Array:
        """Return half the width of the two-sided interval at level 1 - alpha."""
        seed, unit, floor = (
            -stdtrit(freedom, np.asarray(alpha) / 2)
            for freedom in (self.seed_freedom, self.unit_freedom, self.floor_freedom)
        )
        square = seed**2 * self.seed_term(alpha) + np.maximum(unit**2 * self.unit, floor**2 * self.floor)
        for one in self.crossed:
            square = square + stdtrit(one.freedom, np.asarray(alpha) / 2) ** 2 * one.term(self.units, alpha)
        return np.asarray(np.sqrt(square))

    def p_above(self, distance: float) -> float:
        """One-sided p of "the mean lies above a bound" for an estimate `distance` above it."""
        if not np.isfinite(distance) or np.isnan(float(self.variance)):
            return float("nan")
        if float(self.variance) == 0.0:
            return 0.0 if distance > 0 else 1.0
        tail = self._tail(abs(distance))
        return tail if distance > 0 else 1.0 - tail

    def _tail(self, distance: float) -> float:
        """Find the alpha / 2 at which the interval just reaches `distance`."""

        def gap(exponent: float) -> float:
            return float(self.half_width(2 * np.exp(exponent))) - distance

        least, most = np.log(1e-15), np.log(0.5)
        if gap(least) <= 0:
            return float(np.exp(least))
        return float(np.exp(brentq(gap, least, most, xtol=1e-9)))


def error_of(
    squares: Squares,
    floor: Floor | None = None,
    seed: Error | None = None,
    crossed: tuple[Crossed, ...] = (),
) -> Error:
    """Return the error of a study's mean; `seed` gives the seed term where other settings have measured it.

    With one seed and no such term the seeds' variance is left out: the error then is that of this seed.
    """
    seeds, units = squares.seeds, squares.units
    unit, rest, cells = squares.unit / (seeds * units), np.asarray(0.0), seeds * units
    if seed is not None:
        term, freedom = seed.seed, seed.seed_freedom
    elif seeds > 1:
        term, rest, freedom = squares.seed / cells, squares.rest / cells, seeds - 1.0
    else:
        term, freedom = 0.0, 1.0
    least = floor or Floor(0.0, 1.0)
    tasks = max(units - 1.0, 1.0)
    return Error(term, freedom, unit, tasks, least.variance, least.freedom, rest, units, crossed)


def seed_term(seed: Array, rest: Array, freedom: float, units: int, alpha: float | Array = USUAL) -> Array:
    """Take off the seeds' mean square what the rest would put there by chance in its lower third.

    A third (a fifth for two seeds) holds the level wherever the variance lies: see the simulations in the tests. Of
    levels below 5 % it is as much less.
    """
    share = (0.2 if freedom < 2 else 1 / 3) * np.minimum(1.0, np.asarray(alpha) / USUAL)
    by_chance = fdtri(freedom, freedom * (units - 1), share)
    return np.asarray(np.maximum(0.0, seed - by_chance * rest))
