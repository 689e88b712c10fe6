"""Paired statistics: what a difference between two variants is worth, given few seeds and a sample of tasks.

All functions take a matrix of paired differences, `differences[seed, unit]`: the mean over the shared test
instances of one task (the unit), variant less reference, for one seed (and over its templates). Seeds and tasks are
crossed random effects: d[s, t] = mean + seed[s] + task[t] + rest[s, t]. A single task says nothing of other tasks: it
has no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from instruct_ablate.report.statistics.power import Design
from instruct_ablate.report.statistics.templates import crossed
from instruct_ablate.report.statistics.variance.components import (
    Components,
    Matrix,
    Squares,
    estimates,
    mean_squares,
)
from instruct_ablate.report.statistics.variance.error import Error, Floor, error_of
from instruct_ablate.report.statistics.variance.permutation import permutation_p
from instruct_ablate.report.statistics.variance.seed_pool import SeedPool
from instruct_ablate.rounding import ROUNDING

LIMIT = 100.0  # points, between percentages
_UNKNOWN = Components(*3 * (float("nan"),))
Seeds = Literal["own", "pooled", "left out", "none"]  # where the seeds' variance comes from


@dataclass(frozen=True, slots=True)
class Comparison:
    """One difference in percentage points, tested: its intervals and p-values are one inference."""

    mean: float
    terms: Error
    seeds: int
    units: int
    components: Components
    effects: tuple[float, ...]  # by task, meaned over seeds
    seeds_from: Seeds = "own"
    floor: Floor | None = None
    limit: float = LIMIT  # of what a difference can be
    steady: bool = (
        False  # no seed and no task differs from another, and no floor says what instances leave open
    )

    @property
    def one_seed(self) -> bool:
        """Whether the seeds' variance is unknown, so that intervals leave it out and nothing is decided."""
        return self.seeds_from == "left out"

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(np.sqrt(self.terms.variance))

    @property
    def interval95(self) -> tuple[float, float]:
        """The two-sided 95 % interval."""
        return self.interval(0.95)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval at this level, within what a difference can be."""
        half = float(self.terms.half_width(1 - level))
        return float(np.clip(self.mean - half, -self.limit, self.limit)), float(
            np.clip(self.mean + half, -self.limit, self.limit)
        )

    @property
    def p_difference(self) -> float:
        """Two-sided p of "no difference"."""
        return float(np.minimum(1.0, 2 * self.terms.p_above(abs(self.mean))))

    def p_equivalence(self, margin: float) -> float:
        """Two one-sided tests (Schuirmann 1987): the larger p of "above -margin" and "below +margin"."""
        return self.terms.p_above(margin - abs(self.mean))

    def p_exceeds(self, by: float) -> float:
        """One-sided test of "the mean is above `by`"."""
        return self.terms.p_above(self.mean - by)

    def p_below(self, bound: float) -> float:
        """One-sided test of "the mean is below `bound`"."""
        return self.terms.p_above(bound - self.mean)

    @property
    def squares(self) -> Squares:
        """The mean squares that its error comes from."""
        terms, cells = self.terms, self.seeds * self.units
        seed, unit, rest = (np.asarray(term) * cells for term in (terms.seed, terms.unit, terms.rest))
        return Squares(self.seeds, self.units, np.asarray(self.mean), seed, unit, rest)

    @property
    def p_permutation(self) -> float:
        """Two-sided p of the sign-flip test over tasks."""
        return permutation_p(np.asarray(self.effects)[None, :])

    @property
    def design(self) -> Design:
        """The design that this comparison had, for what it could have shown and what would decide."""
        floor = self.floor.variance * self.units if self.floor else 0.0
        return Design(self.components, self.seeds, self.units, floor, self.terms.crossed)


def compare(
    differences: Matrix,
    floor: Floor | None = None,
    *,
    seedless: bool = False,
    pool: SeedPool | None = None,
    templates: Sequence[Matrix] = (),
) -> Comparison:
    """Test one matrix of paired differences.

    `floor` is what the test instances leave open; `seedless` says that neither side has seeds (untuned models), so
    that one row is all there is; `pool` is the seeds' variance of other settings, for a comparison of one seed;
    `templates` are effects by template and task, where the differences are means over several templates.

    Differences that are all alike leave nothing to judge an error by, but for a floor: an error of zero would be
    certainty from nothing. There is no interval and no p then, as of one task.
    """
    matrix = np.asarray(differences, dtype=np.float64)
    squares = mean_squares(matrix)
    seeds, units = matrix.shape
    steady = units > 1 and not (floor and floor.variance) and _alike(matrix)
    if steady:
        # NaN goes on into error, interval and p-values by itself: nobody further on need ask.
        missing = np.asarray(np.nan)
        squares = replace(squares, unit=missing, seed=missing if seeds > 1 else squares.seed)
    known: Seeds = "own" if seeds > 1 else "none" if seedless else "pooled" if pool else "left out"
    pooled = pool.term() if pool and known == "pooled" else None
    seed = 0.0 if known == "none" else pool.variance if pool and known == "pooled" else None
    return Comparison(
        mean=float(squares.mean),
        terms=error_of(squares, floor, pooled, tuple(map(crossed, templates))),
        seeds=seeds,
        units=units,
        components=_UNKNOWN if steady else estimates(squares, seed),
        effects=tuple(float(effect) for effect in matrix.mean(axis=0)),
        seeds_from=known,
        floor=floor,
        steady=steady,
    )


def _alike(differences: Matrix) -> bool:
    """Whether all differences are the same number, but for rounding."""
    return bool(np.ptp(differences) <= ROUNDING * max(1.0, float(np.abs(differences).max())))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for the number of comparisons (Holm 1979); what cannot be tested stays NaN and out.

    statsmodels' `multipletests` says the same and takes half a second to import.
    """
    values = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return tuple(float(value) for value in adjusted)
