"""Worlds: studies drawn where the truth is known, many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruct_ablate.report.statistics.variance.components import Squares
from instruct_ablate.report.statistics.variance.error import Error, Floor, error_of


@dataclass(frozen=True)
class World:
    """Standard deviations of a difference in points: between seeds, tasks, in the rest, of an instance's outcome."""

    seed: float
    task: float
    rest: float
    instance: float = 0.0

    def draw(self, count: int, seeds: int, tasks: int, instances: int, generator: np.random.Generator):
        """Draw matrices [count, seeds, tasks] around zero and the floors that their instances give."""
        shape = (count, seeds, tasks)
        noise = self.instance / np.sqrt(instances)
        matrices = (
            generator.normal(0, self.seed, (count, seeds, 1))
            + generator.normal(0, self.task, (count, 1, tasks))
            + generator.normal(0, noise, (count, 1, tasks))
            + generator.normal(0, self.rest, shape)
        )
        freedom = tasks * (instances - 1)
        return matrices, Floor(noise**2 / tasks * generator.chisquare(freedom, count) / freedom, freedom)

    def errors(
        self, count: int, seeds: int, tasks: int, instances: int, generator
    ) -> tuple[np.ndarray, Error]:
        """Draw means and their errors only: the mean squares of normal data are chi-squares, independent of it."""
        unit, rest = self.task**2 + self.instance**2 / instances, self.rest**2
        squares, expected = [], (rest + tasks * self.seed**2, rest + seeds * unit, rest)
        freedoms = (seeds - 1, tasks - 1, (seeds - 1) * (tasks - 1))
        for square, freedom in zip(expected, freedoms, strict=True):
            squares.append(
                square * generator.chisquare(freedom, count) / max(freedom, 1) if freedom else np.nan
            )
        error = np.sqrt(self.seed**2 / seeds + unit / tasks + rest / (seeds * tasks))
        freedom = tasks * (instances - 1)
        noise = self.instance**2 / instances / tasks * generator.chisquare(freedom, count) / freedom
        means = generator.normal(0, error, count)
        return means, error_of(Squares(seeds, tasks, means, *squares), Floor(noise, freedom))


def within_bound(rate: float, limit: float, count: int) -> bool:
    """Whether a rate over so many runs is no evidence, at 99.9 %, of a true rate above the limit."""
    return bool(rate <= limit + 3.09 * np.sqrt(limit * (1 - limit) / count))
