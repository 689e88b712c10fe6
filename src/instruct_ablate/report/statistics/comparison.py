"""Paired statistics: what a difference between two variants is worth, given few seeds and a sample of tasks.

All functions take a matrix of paired differences, `differences[seed, unit]`: the mean over the shared test
instances of one task (the unit), variant less reference, for one seed. Seeds and tasks are crossed random
effects: d[s, t] = mean + seed[s] + task[t] + rest[s, t]. A single task says nothing of other tasks: it has no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from instruct_ablate.report.statistics.components import Components, Matrix, components
from instruct_ablate.report.statistics.resampling import (
    REPLICATES,
    bootstrap_means,
    expanded_percentiles,
    permutation_p,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One difference, tested: intervals in the unit of the scores (percentage points)."""

    mean: float
    error: float
    freedom: float
    interval95: tuple[float, float]
    interval90: tuple[float, float]
    p_difference: float
    p_permutation: float
    seeds: int
    units: int
    components: Components

    def p_equivalence(self, margin: float) -> float:
        """Two one-sided tests (Schuirmann 1987): the larger p of "above -margin" and "below +margin"."""
        if self.error == 0:
            return 0.0 if abs(self.mean) < margin else 1.0
        worst = (abs(self.mean) - margin) / self.error
        return float(stats.t.cdf(worst, self.freedom))

    def p_exceeds(self, by: float) -> float:
        """One-sided test of "the mean is above `by`"."""
        if self.error == 0:
            return 0.0 if self.mean > by else 1.0
        return float(stats.t.sf((self.mean - by) / self.error, self.freedom))


def compare(differences: Matrix, seed: int = 0, replicates: int = REPLICATES) -> Comparison:
    """Test one matrix of paired differences; see `compare_all`."""
    return compare_all([differences], seed, replicates)[0]


def compare_all(
    matrices: Sequence[Matrix], seed: int = 0, replicates: int = REPLICATES
) -> tuple[Comparison, ...]:
    """Test many matrices; those of one shape share their resamples, so the order of cells does not matter."""
    return tuple(_compare(np.asarray(matrix, dtype=np.float64), seed, replicates) for matrix in matrices)


def _compare(differences: Matrix, seed: int, replicates: int) -> Comparison:
    parts = components(differences)
    means = bootstrap_means(differences, parts, seed, replicates)
    return Comparison(
        mean=parts.mean,
        error=parts.error,
        freedom=parts.freedom,
        interval95=_possible(expanded_percentiles(means, parts, 0.95)),
        interval90=_possible(expanded_percentiles(means, parts, 0.90)),
        p_difference=_p_difference(parts),
        p_permutation=permutation_p(differences, seed, replicates),
        seeds=differences.shape[0],
        units=differences.shape[1],
        components=parts,
    )


def _possible(interval: tuple[float, float]) -> tuple[float, float]:
    """Keep an interval of percentage points within what a difference can be."""
    low, high = interval
    return (float(np.clip(low, -100, 100)), float(np.clip(high, -100, 100)))


def _p_difference(parts: Components) -> float:
    """Two-sided t test of "no difference" with the crossed error."""
    if not np.isfinite(parts.error):
        return float("nan")
    if parts.error == 0:
        return 1.0 if parts.mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(parts.mean) / parts.error, parts.freedom))


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
