"""Variance components: how much of a paired difference lies between seeds, between tasks and in the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Components:
    """Variance components of a difference and what they make of its mean."""

    mean: float
    seed: float  # variance between seeds
    unit: float  # variance between tasks
    rest: float  # variance of the interaction and within
    error: float  # standard error of the mean
    freedom: float  # degrees of freedom of that error


def components(differences: Matrix) -> Components:
    """Split the variance by two-way random-effects analysis (Searle, Casella & McCulloch 1992).

    Var(mean) = seed / S + unit / T + rest / (S T), with Satterthwaite's (1946) degrees of freedom. Components
    that come out negative are zero. With one seed only tasks vary, and the seed component is taken as zero:
    the claim is then about that seed.
    """
    seeds, units = differences.shape
    mean = float(differences.mean())
    if units < 2:
        return Components(mean, 0.0, float("nan"), float("nan"), float("nan"), float("nan"))
    unit_square = seeds * float(differences.mean(axis=0).var(ddof=1))
    if seeds < 2:
        error = np.sqrt(unit_square / units)
        return Components(mean, 0.0, unit_square, 0.0, float(error), units - 1.0)
    return _crossed(differences, mean, unit_square)


def _crossed(differences: Matrix, mean: float, unit_square: float) -> Components:
    seeds, units = differences.shape
    by_seed, by_unit = differences.mean(axis=1), differences.mean(axis=0)
    seed_square = units * float(by_seed.var(ddof=1))
    residual = differences - by_seed[:, None] - by_unit[None, :] + mean
    rest_square = float((residual**2).sum()) / ((seeds - 1) * (units - 1))
    # Median-unbiased: with two or three seeds the plain estimate is zero half the time, and tests are rash.
    typical = float(stats.f.ppf(0.5, seeds - 1, (seeds - 1) * (units - 1)))
    seed_term = max(0.0, seed_square / typical - rest_square)
    unit_term = max(unit_square, rest_square)
    total = seed_term + unit_term
    spread = seed_term**2 / (seeds - 1) + unit_term**2 / (units - 1)
    freedom = max(1.0, total**2 / spread) if spread > 0 else units - 1.0
    error = float(np.sqrt(total / (seeds * units)))
    unit = (unit_term - rest_square) / seeds
    return Components(mean, seed_term / units, unit, rest_square, error, freedom)
