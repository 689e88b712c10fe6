"""Outcomes: the scores of single test instances under two settings, and the least error that they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instruct_ablate.report.statistics.variance.components import Array, Matrix
from instruct_ablate.report.statistics.variance.error import Floor

SPARSE = 10  # instances that differ, below which their variance says little
INDEPENDENT = "instances taken as unpaired: their single scores are not at hand"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Scores in percent of one metric: for each task one array [seeds, instances] a side, on the same instances."""

    left: tuple[Matrix, ...]
    right: tuple[Matrix, ...]

    @property
    def differences(self) -> Matrix:
        """Left less right by seed and task."""
        pairs = zip(self.left, self.right, strict=True)
        return np.stack([(left - right).mean(axis=1) for left, right in pairs], axis=1)

    @property
    def floor(self) -> Floor:
        """What the instances leave open, their outcomes paired and meaned over the seeds that share them."""
        pairs = zip(self.left, self.right, strict=True)
        effects = [(left - right).mean(axis=0) / 100 for left, right in pairs]
        binary = all(_binary(task) for task in (*self.left, *self.right))
        return paired_floor(effects, binary)


def _binary(scores: Matrix) -> bool:
    return bool(np.all((scores == 0) | (scores == 100)))


def paired_floor(effects: Sequence[Array], binary: bool) -> Floor:
    """Return the floor in squared points from every task's instance effects (from -1 to 1).

    Var(mean) is at least the mean over tasks of s^2 / n, over T. Where outcomes are binary or hardly any differ, it
    is at least that of the adjusted Wald interval for paired proportions too (Bonett & Price 2012), with one
    pseudo-pair in each direction over the whole comparison: no difference seen is not no difference.
    """
    counts = np.array([effect.size for effect in effects])
    within = np.array([((effect - effect.mean()) ** 2).sum() for effect in effects])
    freedom = float((counts - 1).sum())
    pooled = within.sum() / freedom if freedom else 0.0
    # A task of one instance has no variance of its own, and is given that of all.
    squares = np.where(counts > 1, within / np.maximum(counts - 1, 1), pooled)
    variance = float((squares / counts).mean()) / counts.size
    differing = sum(int(np.count_nonzero(effect)) for effect in effects)
    if not (binary or differing < SPARSE):
        return Floor(variance * 1e4, freedom)
    square, mean = (float(np.mean([f(effect) for effect in effects])) for f in (_mean_square, np.mean))
    # Claims are about tasks: where hardly anything differs, few tasks must not pass for many instances.
    few = max(1.0, counts.size - 1.0)
    return Floor(max(variance, adjusted_wald(square, mean, counts)) * 1e4, few, whole=True)


def _mean_square(effect: Array) -> float:
    return float((effect**2).mean())


def adjusted_wald(square: float, mean: float, counts: Array) -> float:
    """Return Bonett & Price's variance of a mean paired difference, from its mean square and mean over tasks.

    Tasks weigh alike, so the number of pairs is that of the tasks' instances by Kish's formula.
    """
    pairs = counts.size**2 / float((1 / counts).sum())
    square = (square * pairs + 2) / (pairs + 2)
    return (square - (mean * pairs / (pairs + 2)) ** 2) / (pairs + 2)


def unpaired_floor(left: Array, right: Array, counts: Array) -> Floor:
    """Return a floor from task means in percent and instance counts alone, as if the sides' instances were unpaired.

    A score between 0 and 1 with mean p varies by at most p (1 - p), and paired instances rarely move against each
    other, so this is more than paired outcomes would say.
    """
    shares = (np.clip(left / 100, 0, 1), np.clip(right / 100, 0, 1))
    noise = sum(share * (1 - share) for share in shares)
    variance = float((noise / counts).mean()) / counts.size
    least = adjusted_wald(float(np.mean(noise)), 0.0, np.asarray(counts, dtype=np.float64))
    return Floor(max(variance, least) * 1e4, max(1.0, counts.size - 1.0), INDEPENDENT, whole=True)
