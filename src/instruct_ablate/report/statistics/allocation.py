"""Allocation: the seeds, tasks and instances a task that show every claim with the least processor time.

The classical optimum (Cochran 1977, 5.5) weighs each variance component against what one more of its kind costs. It
has a closed form for a normal error alone; here the power of the very tests is asked, Student's quantiles included,
so all seeds and instances are tried, with the least tasks that do for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.report.statistics.planned import Planned
from instruct_ablate.report.statistics.power import POWER, Aim, Design, power, smallest

SEEDS = range(2, 21)
INSTANCES = (10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)


@dataclass(frozen=True, slots=True)
class Need:
    """What a claim's test should show, under the variances of a design with so many instances a task."""

    aim: Aim | None  # None: a claim on single tasks, which asks for a number of them alone
    design: Design
    instances: float
    least_tasks: int = 2

    def at(self, size: Planned) -> Design:
        """Return the design at another size.

        Instance noise goes with 1 / instances. How much of the rest is the instances' own is not known, so it is
        taken to be all where instances become fewer, and nothing where they become more.
        """
        parts, floor = self.design.parts, self.design.floor
        ratio = self.instances / size.instances
        unit = max(0.0, parts.unit - floor) + floor * ratio
        changed = replace(parts, unit=unit, rest=parts.rest * max(1.0, ratio))
        return Design(changed, size.seeds, size.tasks, floor * ratio)

    def power(self, size: Planned) -> float:
        """Return the chance that this size shows the claim; of a claim on single tasks, whether it can."""
        if self.aim is None:
            return float(size.tasks >= self.least_tasks)
        return power(self.at(size), self.aim)


@dataclass(frozen=True, slots=True)
class Price:
    """Seconds of a grid: of a seed of all its trained cells, of an instance tested there, and of untuned cells."""

    seed: float
    instance: float
    once: float = 0.0
    instance_once: float = 0.0

    def of(self, size: Planned) -> float:
        """Return the seconds of a size."""
        tested = size.tasks * size.instances
        return size.seeds * (self.seed + self.instance * tested) + self.once + self.instance_once * tested


def weakest(needs: Sequence[Need], size: Planned) -> float:
    """Return the power of the claim that has least."""
    return min(need.power(size) for need in needs)


def propose(needs: Sequence[Need], price: Price, most: Planned, wanted: float = POWER) -> Planned | None:
    """Return the cheapest size within `most` at which every claim has this power; None where there is none."""
    best: Planned | None = None
    for size in _sizes(most):
        # Two tasks are the fewest: what costs as much with those alone needs no search, which is the dear part.
        if best is not None and price.of(replace(size, tasks=2)) >= price.of(best):
            continue
        tasks = _least_tasks(needs, size, most.tasks, wanted)
        found = replace(size, tasks=tasks) if tasks else None
        if found is not None and (best is None or price.of(found) < price.of(best)):
            best = found
    return best


def _sizes(most: Planned) -> Iterator[Planned]:
    able = [number for number in INSTANCES if number < most.instances] + [most.instances]
    for seeds in SEEDS:
        if seeds <= most.seeds:
            yield from (Planned(seeds, 0, number) for number in able)


def _least_tasks(needs: Sequence[Need], size: Planned, limit: int, wanted: float) -> int | None:
    return smallest(lambda tasks: weakest(needs, replace(size, tasks=tasks)) >= wanted, 2, limit)
