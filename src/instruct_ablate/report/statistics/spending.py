"""Spending: the level at which each look of a sequential comparison tests, so that all looks together keep theirs.

A look after k of K seeds has spent alpha (k / K)^1.5 (Kim & DeMets 1987): with five seeds, spending in even parts
leaves the last look a fifth less of its level, and spending with the square saves a tenth fewer cells. Looks depend
on each other least where all variance lies between seeds; what tasks add is in every look alike, and brings them
closer (Slepian 1962). There the looks are Student's t of the first k of K normal values, a Markov chain whose law
needs no approximation: with a = arctan(t / sqrt(k - 1)) the next seed turns sqrt(k) sin(a) = s into
s cos(f) + sin(f), where sqrt(k) tan(f) has Student's law with k degrees of freedom and hangs on nothing before. The
normal law of large samples would be rash here: with five seeds it lets 6 % through for 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from instruct_ablate.report.statistics.variance.components import Array

FIRST = 2  # seeds at the first look
POWER = 1.5  # of the share of seeds, in the level spent so far
# Cells of the angle, fine towards the end where looks reject.
_FINE = np.geomspace(0.05, 1e-7, 60)
_EDGES = np.concatenate([np.linspace(-np.pi / 2, np.pi / 2 - 0.05, 301)[:-1], np.pi / 2 - _FINE, [np.pi / 2]])
_MIDDLES = (_EDGES[1:] + _EDGES[:-1]) / 2
_EVEN = (np.pi / 2 - _EDGES) / np.pi  # the law of the angle at two seeds
_LEAST = 1e-7  # the least level over all looks that is told from its neighbours


def spent(level: float, share: float) -> float:
    """Return how much of a level is spent once this share of the seeds is there."""
    return float(level * share**POWER)


@dataclass(frozen=True, slots=True)
class _Open:
    """The law of the angle where no look has rejected yet: by cell, and between the last whole cell and the bound."""

    mass: Array
    last: float
    angle: float

    def above(self, bounds: Array, look: int) -> Array:
        """Return the chances that the next look's angle lies above each bound."""
        known = _tails(look) if bounds is _EDGES else _above(_MIDDLES, bounds, look)
        return np.asarray(self.mass @ known + self.last * _above(np.array([self.angle]), bounds, look)[0])


@lru_cache(maxsize=4096)
def nominal_levels(level: float, seeds: int) -> tuple[float, ...]:
    """Return the one-sided level of each look, from two seeds to all `seeds`, for one level over all looks."""
    levels: list[float] = []
    law, before = None, 0.0
    for look in range(FIRST, max(seeds, FIRST) + 1):
        so_far = spent(level, look / max(seeds, FIRST))
        bound = _bound(law, look, so_far - before)
        levels.append(float(stdtr(look - 1, -np.sqrt(look - 1) * np.tan(bound))))
        law, before = (
            _below(_EVEN if law is None else law.above(_EDGES, look), bound, so_far - before),
            so_far,
        )
    return tuple(levels)


def _bound(law: _Open | None, look: int, increment: float) -> float:
    """Find the angle above which a look rejects just so much; at two seeds all angles are alike."""
    if law is None:
        return np.pi * (0.5 - increment)

    def excess(log_room: float) -> float:
        above = float(law.above(np.array([np.pi / 2 - np.exp(log_room)]), look)[0])
        # On the way to the root there may be no chance left, of which there is no logarithm.
        return float(np.log(max(above, 1e-300)) - np.log(increment))

    from scipy.optimize import brentq  # which takes a fifth of a second: few studies are looked at in between

    return float(np.pi / 2 - np.exp(brentq(excess, np.log(1e-12), np.log(np.pi), xtol=1e-6)))


def _below(tails: Array, bound: float, rejected: float) -> _Open:
    """Return the law below the bound, from the chances above every edge."""
    cell = int(np.searchsorted(_EDGES, bound, side="right")) - 1
    mass = np.where(np.arange(_MIDDLES.size) < cell, -np.diff(tails), 0.0)
    return _Open(mass, float(max(0.0, tails[cell] - rejected)), float((_EDGES[cell] + bound) / 2))


def _above(angles: Array, bounds: Array, look: int) -> Array:
    """Return the chance that the angle of a look lies above each bound, given each angle of the look before."""
    sums = np.sqrt(look - 1) * np.sin(angles)[:, None]
    reach = np.clip(np.sqrt(look) * np.sin(bounds)[None, :] / np.sqrt(1 + sums**2), -1.0, 1.0)
    turns = [np.arcsin(reach) - np.arctan(sums), np.pi - np.arcsin(reach) - np.arctan(sums)]
    least, most = (np.clip(turn, -np.pi / 2, np.pi / 2) for turn in turns)
    low, high = (stdtr(look - 1, np.sqrt(look - 1) * np.tan(turn)) for turn in (least, most))
    return np.asarray(np.maximum(0.0, high - low))


@lru_cache(maxsize=64)
def _tails(look: int) -> Array:
    return _above(_MIDDLES, _EDGES, look)


@lru_cache(maxsize=64)
def _table(look: int, seeds: int) -> tuple[Array, Array]:
    """Return overall levels and the levels of one look, as normal quantiles, for a grid of levels."""
    usual = ndtri([0.025, 0.05])  # exact, so that interval and verdict are one
    overall = ndtr(np.sort([*np.linspace(float(ndtri(_LEAST)), -0.05, 26), *usual]))
    own = [nominal_levels(float(level), seeds)[look - FIRST] for level in overall]
    return ndtri(overall), ndtri(np.array(own))


def look_level(level: float, look: int, seeds: int) -> float:
    """Return the one-sided level of one look, for one level over all looks; one look alone has all of it."""
    return level if seeds <= FIRST or look < FIRST else nominal_levels(level, seeds)[min(look, seeds) - FIRST]


def sequential_p(p: float, look: int, seeds: int) -> float:
    """Turn the p of one look into the least level over all looks at which it rejects (Liu & Anderson 2008)."""
    if not np.isfinite(p) or seeds <= FIRST or look < FIRST:
        return p
    overall, own = _table(min(look, seeds), seeds)
    quantile = float(ndtri(min(max(p, 1e-300), 1 - 1e-15)))
    if quantile >= own[-1]:
        return 1.0
    # Beyond the table p-values go on in proportion: they keep their order, by which Holm's correction goes.
    if quantile < own[0]:
        return float(p / ndtr(own[0]) * _LEAST)
    return float(ndtr(np.interp(quantile, own, overall)))
