"""Variance components: how much of a paired difference lies between seeds, between tasks and in the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

Matrix = NDArray[np.float64]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Squares:
    """Mean squares of `differences[..., seed, task]`: one number each, or an array over many studies."""

    seeds: int
    units: int
    mean: Array
    seed: Array
    unit: Array
    rest: Array


@dataclass(frozen=True, slots=True)
class Components:
    """Variance components of a difference: Var(mean) = seed / S + unit / T + rest / (S T)."""

    seed: float  # variance between seeds
    unit: float  # variance between tasks, the noise of their instances with it
    rest: float  # variance of the interaction and within


def mean_squares(differences: Matrix) -> Squares:
    """Split the variation in two ways (Searle, Casella & McCulloch 1992); leading axes are studies.

    One seed has no seed square and one task no task square: both are then NaN.
    """
    seeds, units = differences.shape[-2:]
    mean = differences.mean(axis=(-2, -1))
    by_seed, by_unit = differences.mean(axis=-1), differences.mean(axis=-2)
    missing = np.full(mean.shape, np.nan)
    unit = seeds * by_unit.var(axis=-1, ddof=1) if units > 1 else missing
    if seeds < 2 or units < 2:
        return Squares(seeds, units, mean, missing, unit, missing)
    seed = units * by_seed.var(axis=-1, ddof=1)
    residual = differences - by_seed[..., :, None] - by_unit[..., None, :] + mean[..., None, None]
    rest = (residual**2).sum(axis=(-2, -1)) / ((seeds - 1) * (units - 1))
    return Squares(seeds, units, mean, seed, unit, rest)


def estimates(squares: Squares, seed: float | None = None) -> Components:
    """Estimate the components of one study; those that come out negative are zero.

    The seed component is median-unbiased: with two or three seeds the plain estimate is zero half the time, and
    advice built on it is rash. Of one seed it is `seed`, as other settings' seeds have measured it.
    """
    seeds, units = squares.seeds, squares.units
    if units < 2:
        return Components(float("nan"), float("nan"), float("nan"))
    if seeds < 2:
        return Components(float("nan") if seed is None else seed, float(squares.unit), 0.0)
    typical = float(fdtri(seeds - 1, (seeds - 1) * (units - 1), 0.5))
    own = max(0.0, float(squares.seed) / typical - float(squares.rest)) / units
    unit = max(0.0, float(squares.unit) - float(squares.rest)) / seeds
    return Components(own, unit, float(squares.rest))
