"""Outlook: what the whole grid would say of a claim, from the seeds that there are (stochastic curtailment).

Lan, Simon & Halperin (1982) stop where the end is all but certain. Of a mean over K seeds the first k are known; what
the others add has Student's law with k - 1 degrees of freedom, wide as two seeds must be. The error at the end is
taken to be what the components found so far make of K seeds. Stopping on it costs the tests no level: they hold
wherever a sweep stops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from instruct_ablate.report.statistics.variance.components import Array, Squares
from instruct_ablate.report.statistics.variance.error import Crossed, Floor, error_of

AGREES = 0.9  # chance that the whole grid says the same, from which on a decision is left at that
NEVER = 0.05  # chance that it decides at all, up to which an open question is left open
# Added to a deviation, so that seeds that are all alike divide by no zero.
_NONE = 1e-12


@dataclass(frozen=True, slots=True)
class Bound:
    """A claim as the tests see it, with the one-sided levels at which the whole grid tests it and its opposite."""

    verb: str
    margin: float
    support: float
    refute: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """The chances that all planned seeds would support and refute a claim."""

    supports: float
    refutes: float

    def settles(self, answer: str) -> bool:
        """Whether further seeds of the plan are too unlikely to change this answer."""
        if answer == "supported":
            return self.supports >= AGREES
        if answer == "refuted":
            return self.refutes >= AGREES
        return self.supports + self.refutes <= NEVER


def chances(
    bound: Bound, squares: Squares, floor: Floor | None, planned: int, crossed: tuple[Crossed, ...] = ()
) -> tuple[Array, Array]:
    """Return the chances that all planned seeds support and refute a claim; one each, or of many studies.

    Further seeds bring no further templates: what these leave open (`crossed`) stays.
    """
    seeds, units = squares.seeds, squares.units
    # The mean of K seeds lies off that of the first k by a variance of sigma^2 (1 / k - 1 / K). A seed's own variance
    # is that of its mean over tasks, its share of the rest included: further seeds are tested on the same tasks.
    left = (planned - seeds) / (planned * seeds)
    scale = np.sqrt(np.maximum(squares.seed / units * left, 0.0)) + _NONE
    at_end = error_of(_at_end(squares, planned), floor, crossed=crossed)
    support = at_end.half_width(2 * bound.support)
    # The p that refutes equality is doubled already (`p_refute`), so its level is not.
    refute = at_end.half_width((1 if bound.verb == "equals" else 2) * bound.refute)

    def below(edge: Array) -> Array:
        return np.asarray(stdtr(seeds - 1, (edge - squares.mean) / scale))

    margin = bound.margin
    if bound.verb == "equals":
        within = below(margin - support) - below(support - margin)
        return np.maximum(0.0, within), below(-margin - refute) + 1 - below(margin + refute)
    if bound.verb == "exceeds":
        return 1 - below(margin + support), below(margin - refute)
    return below(-margin - support), 1 - below(refute - margin)


def _at_end(squares: Squares, planned: int) -> Squares:
    """Return the mean squares to expect of all planned seeds."""
    unit = np.maximum(0.0, squares.unit - squares.rest) / squares.seeds
    return Squares(
        planned, squares.units, squares.mean, squares.seed, planned * unit + squares.rest, squares.rest
    )
