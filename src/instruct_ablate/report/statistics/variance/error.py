"""The error of a mean difference: one rule for its interval and for its p-values.

    half width(alpha)^2 = max(q(alpha)^2 * (whole + beyond), 0.4 t(instances)^2 * floor)
                          + t(templates)^2 * template term, where there are several templates

Of seeds and tasks the effect with fewer levels has its whole mean square, the other one what its own lies beyond the
median that the rest alone would put there, and both together are no less than a tenth of its own. q is Student's
quantile at a freedom between theirs, 1 / f = w^k / f(fewer) + (1 - w)^k / f(more), by their shares w and 1 - w of the
variance. k = 2 is Satterthwaite's freedom; it is rash where few levels carry the variance (at two seeds it covers as
little as 88 %), for the shares are estimated too. k = 0.85 + 2.4 / f(more) was calibrated on simulated studies of
3 to 10 seeds and 6 to 119 tasks, the variance wherever it may lie: they cover 94.5 to 97 %. At levels below 5 %, as
the first steps of Holm and early looks ask, and of two levels or of fewer than six on both sides, no freedom between
holds; there q^2 is the mean of both quantiles' squares by their shares (Cochran & Cox 1957), to which it goes over as
the level falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri, stdtrit

from instruct_ablate.report.statistics.variance.components import Array, Squares

USUAL = 0.05  # alpha of the usual interval
HELD = 0.4  # part of a floor that intervals are held to where outcomes differ
LEAST = 0.1  # of the mean square with more levels, which the variance is no less than


@dataclass(frozen=True, slots=True)
class Floor:
    """The least variance that a mean difference can have: what its test instances leave open."""

    variance: float
    freedom: float
    stated: str = ""  # what stands in for paired outcomes where these are not at hand
    whole: bool = False  # intervals are held to all of it, as where hardly any outcomes differ


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
    rest: Array | float = 0.0  # of which `seed` and `unit` have a part by chance
    units: int = 2
    crossed: tuple[Crossed, ...] = ()  # templates
    whole_floor: bool = False

    @property
    def variance(self) -> Array:
        """The estimated variance of the mean."""
        further = sum((one.term(self.units, USUAL) for one in self.crossed), np.asarray(0.0))
        whole, beyond = self._parts
        return np.asarray(np.maximum(whole + beyond, self.floor) + further)

    @property
    def _freedoms(self) -> tuple[float, float]:
        """The degrees of freedom of seeds and tasks, the smaller one first."""
        fewer, more = sorted((self.seed_freedom, self.unit_freedom))
        return fewer, more

    @property
    def _parts(self) -> tuple[Array, Array]:
        """What the effect with fewer levels puts into the variance of the mean, and the other one beyond the rest."""
        seed, unit = np.asarray(self.seed), np.asarray(self.unit)
        whole, other = (seed, unit) if self.seed_freedom <= self.unit_freedom else (unit, seed)
        by_chance = fdtri(self._freedoms[1], self.seed_freedom * self.unit_freedom, 0.5) * self.rest
        return whole, np.maximum(np.maximum(other - by_chance, LEAST * other - whole), 0.0)

    def half_width(self, alpha: float | Array) -> Array:
        """Return half the width of the two-sided interval at level 1 - alpha."""
        whole, beyond = self._parts
        sum_ = whole + beyond
        # Where nothing varies the quantile is taken times zero, whatever the share.
        share = np.divide(whole, sum_, out=np.ones_like(sum_), where=sum_ != 0)
        least = (1.0 if self.whole_floor else HELD) * stdtrit(self.floor_freedom, np.asarray(alpha) / 2) ** 2
        square = np.maximum(_quantile_square(share, *self._freedoms, alpha) * sum_, least * self.floor)
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

        # Found by turning the interval round, not from one t: its parts hang on alpha, and the two must agree.
        def gap(exponent: float) -> float:
            return float(self.half_width(2 * np.exp(exponent))) - distance

        least, most = np.log(1e-15), np.log(0.5)
        if gap(least) <= 0:
            return float(np.exp(least))
        from scipy.optimize import brentq  # which takes a fifth of a second: few reports ask for it

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
    return Error(term, freedom, unit, tasks, least.variance, least.freedom, rest, units, crossed, least.whole)


def _quantile_square(share: Array, fewer: float, more: float, alpha: float | Array) -> Array:
    """Return the square of Student's quantile for a variance of which `share` has the smaller freedom."""
    tail = np.asarray(alpha) / 2
    apart = share * stdtrit(fewer, tail) ** 2 + (1 - share) * stdtrit(more, tail) ** 2
    if fewer < 2 or more < 5:
        return np.asarray(apart)
    power, between = 0.85 + 2.4 / more, np.minimum(1.0, np.asarray(alpha) / USUAL)
    inverse = share**power / fewer + (1 - share) ** power / more
    return np.asarray(between * stdtrit(1 / inverse, tail) ** 2 + (1 - between) * apart)


def seed_term(seed: Array, rest: Array, freedom: float, units: int, alpha: float | Array = USUAL) -> Array:
    """Take off a further effect's mean square what the rest would put there by chance in its lower third.

    It stands with a quantile of its own beside the others, for templates and for seeds of other settings. A third (a
    fifth for two levels) holds the level wherever the variance lies: with all of the rest taken off, chance makes the
    term vanish just where it is needed. Of levels below 5 % it is as much less.
    """
    share = (0.2 if freedom < 2 else 1 / 3) * np.minimum(1.0, np.asarray(alpha) / USUAL)
    by_chance = fdtri(freedom, freedom * (units - 1), share)
    return np.asarray(np.maximum(0.0, seed - by_chance * rest))
