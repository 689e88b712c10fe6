"""Sequences: many studies looked at after 2, 3, ... of their seeds, by the levels and outlook of verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruct_ablate.report.statistics.outlook import AGREES, NEVER, Bound, chances
from instruct_ablate.report.statistics.spending import FIRST, look_level
from instruct_ablate.report.statistics.variance.components import Squares, mean_squares
from instruct_ablate.report.statistics.variance.error import Floor, error_of
from tests.report.statistics.worlds import World

LEVEL = 0.05
TYPICAL, QUIET, SEEDY = World(0.8, 4, 3, 30), World(0.3, 2, 2, 20), World(1.5, 2, 2, 20)
SEEDS_ALONE = World(3, 0.5, 1, 5)
SIZES = (5, 8, 12)  # of the stated mix, in standard errors of the whole grid
INSTANCES = 100


@dataclass(frozen=True)
class Plan:
    """A world with the seeds and tasks planned."""

    world: World
    seeds: int
    tasks: int

    @property
    def error(self) -> float:
        """The true standard error once all seeds are there."""
        world, cells = self.world, self.seeds * self.tasks
        unit = world.task**2 + world.instance**2 / INSTANCES
        return float(np.sqrt(world.seed**2 / self.seeds + unit / self.tasks + world.rest**2 / cells))

    def claims(self, size: float) -> list[tuple[str, float, float]]:
        """Claims that hold, (verb, margin, truth): equal, or apart, by so many standard errors."""
        return [("equals", size * self.error, 0.0), ("exceeds", 0.0, size * self.error)]


@dataclass(frozen=True)
class Outcome:
    """Verdicts (1 supported, -1 refuted, 0 undecided) of whole grids and of those that stopped, after so many seeds."""

    whole: np.ndarray
    stopped: np.ndarray
    seeds: np.ndarray
    planned: int

    @property
    def power(self) -> float:
        """How often the whole grid supports."""
        return float(np.mean(self.whole == 1))

    @property
    def agreement(self) -> float:
        """How often the verdict is the whole grid's."""
        return float(np.mean(self.whole == self.stopped))

    @property
    def saved(self) -> float:
        """The share of seeds that were not run."""
        return float(1 - self.seeds.mean() / self.planned)


def run(plan: Plan, claim: tuple[str, float, float], count: int, generator: np.random.Generator) -> Outcome:
    """Draw studies, look at each after every seed from the second on, stop where the verdict is settled."""
    verb, margin, truth = claim
    matrices, floor = plan.world.draw(count, plan.seeds, plan.tasks, INSTANCES, generator)
    matrices += truth
    stopped, seeds = np.zeros(count, dtype=int), np.full(count, plan.seeds)
    open_ = np.ones(count, dtype=bool)
    for look in range(FIRST, plan.seeds + 1):
        squares = mean_squares(matrices[:, :look])
        # The two sides of "outside the margin" are two claims: each has half of the level.
        levels = [look_level(LEVEL / part, look, plan.seeds) for part in (1, 2 if verb == "equals" else 1)]
        found = verdicts(verb, margin, squares, floor, levels)
        ends = open_ & (look == plan.seeds or settled(verb, margin, squares, floor, plan.seeds, found))
        stopped[ends], seeds[ends] = found[ends], look
        open_ &= ~ends
    whole = verdicts(verb, margin, squares, floor, [LEVEL, LEVEL / (2 if verb == "equals" else 1)])
    return Outcome(whole, stopped, seeds, plan.seeds)


def verdicts(verb: str, margin: float, squares: Squares, floor: Floor, levels: list[float]) -> np.ndarray:
    """Return the answers at one-sided levels of support and refutation."""
    error, mean = error_of(squares, floor), squares.mean
    support, refute = (error.half_width(2 * level) for level in levels)
    if verb == "equals":
        return (np.abs(mean) + support < margin).astype(int) - (np.abs(mean) - refute > margin).astype(int)
    return (mean - support > margin).astype(int) - (mean + refute < margin).astype(int)


def settled(verb: str, margin: float, squares: Squares, floor: Floor, planned: int, found: np.ndarray):
    """Say where further seeds are too unlikely to change the answer."""
    support, refute = chances(Bound(verb, margin, LEVEL, LEVEL), squares, floor, planned)
    keeps = np.where(found == 1, support, refute) >= AGREES
    return np.where(found == 0, support + refute <= NEVER, keeps)


def false_decisions(
    plan: Plan, places: int, count: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Return how often any of the places, all at the edge, is said to exceed and to be equal, over all looks.

    Places share their reference's cells. Whoever stops at the first crossing does the worst that a rule can do.
    """
    shared, _ = plan.world.draw(count, plan.seeds, plan.tasks, INSTANCES, generator)
    exceeds, equal = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for _ in range(places):
        own, floor = plan.world.draw(count, plan.seeds, plan.tasks, INSTANCES, generator)
        matrices = (own - shared) / np.sqrt(2)
        for look in range(FIRST, plan.seeds + 1):
            squares = mean_squares(matrices[:, :look])
            half = error_of(squares, floor).half_width(2 * look_level(LEVEL / places, look, plan.seeds))
            exceeds |= squares.mean > half
            equal |= np.abs(20 + squares.mean) + half < 20
    return float(exceeds.mean()), float(equal.mean())
