"""A design before it is run: the differences it could find and the equality it could show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from instruct_ablate.plural import counted
from instruct_ablate.report.statistics.finding import noise_floor
from instruct_ablate.report.statistics.power import Design
from instruct_ablate.report.statistics.variance.components import Components

# Where nothing was measured: variances between seeds, tasks of 100 instances, and in the rest; of a task's variance
# so much is its instances' where a tenth of binary outcomes differ between the sides.
ASSUMED = Components(1.5**2, 4.0**2, 3.0**2)
DIFFERING = 0.1
INSTANCES = 100  # a task, that these hold for
LEAST_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Planned:
    """What a grid has of everything: seeds a setting, test tasks, instances a task."""

    seeds: int
    tasks: int
    instances: int


def planned_of(cells: Iterable[tuple[Hashable, int, Planned]]) -> Planned | None:
    """Return what most settings of a grid have, from (setting, seed, what a cell is tested on); None without cells."""
    seeds: dict[tuple[Hashable, Planned], set[int]] = {}
    for setting, seed, tested in cells:
        seeds.setdefault((setting, tested), set()).add(seed)
    sizes = Counter(replace(tested, seeds=len(own)) for (_, tested), own in seeds.items())
    return sizes.most_common(1)[0][0] if sizes else None


def planned_design(planned: Planned, measured: Sequence[Design]) -> Design:
    """Return the design with the variances of earlier comparisons (their means), else with the assumed ones."""
    if measured:
        return Design(_mean([one.parts for one in measured]), planned.seeds, planned.tasks)
    # A tenth of differences of 1 or -1 around a mean near 0 has a variance of 0.1, in squared points of 0.1 * 100^2.
    noise = DIFFERING * 1e4 / planned.instances
    unit = ASSUMED.unit - DIFFERING * 1e4 / INSTANCES + noise
    rest = ASSUMED.rest * max(1.0, INSTANCES / planned.instances)  # as `Need.at` has it
    return Design(Components(ASSUMED.seed, unit, rest), planned.seeds, planned.tasks, noise)


def _mean(parts: Sequence[Components]) -> Components:
    seed, unit, rest = np.mean([(one.seed, one.unit, one.rest) for one in parts], axis=0)
    return Components(float(seed), float(unit), float(rest))


def planned_line(planned: Planned, measured: Sequence[Design]) -> str:
    """Say what the grid could show; of one seed, what three would."""
    known = [one for one in measured if one.known and one.seeds > 1]
    size = f"{counted(planned.tasks, 'test task')} of {counted(planned.instances, 'instance')}"
    if planned.tasks < 2:
        return f"noise floor: {size} {'says' if planned.tasks == 1 else 'say'} nothing of other tasks"
    seeds = max(planned.seeds, LEAST_SEEDS) if planned.seeds < 2 else planned.seeds
    design = planned_design(replace(planned, seeds=seeds), known)
    parts = design.parts
    origin = f"measured on {counted(len(known), 'comparison')} of earlier studies" if known else "assumed"
    spread = (f"{parts.seed**0.5:.1f} between seeds", f"{parts.unit**0.5:.1f} between tasks")
    deviations = f"{', '.join(spread)}, {parts.rest**0.5:.1f} in the rest"
    one = "one seed decides nothing; " if planned.seeds < 2 else ""
    told = noise_floor(design).removeprefix("this design ")
    return f"noise floor: {one}{counted(seeds, 'seed')} × {size}: {told}; deviations {origin}: {deviations}"
