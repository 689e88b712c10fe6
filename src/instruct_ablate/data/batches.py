"""Which examples make an optimiser step, and which of them go through the model together; pure functions.

The order depends on seed, epoch and examples alone: not on devices, micro-batches or accumulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instruct_ablate.data.settings import check_batches, check_data
from instruct_ablate.data.store import Integers
from instruct_ablate.schema import DataConfig, TrainerConfig


@dataclass(frozen=True)
class Schedule:
    """The steps of a fit: every step takes `batch_size` examples, an epoch's last one what is left.

    `tasks` (each example's task) is given for grouping by task only: then `group_size` examples of one
    task stand together, and an epoch's steps are a random order of such groups.
    """

    examples: int
    batch_size: int
    epochs: float
    seed: int
    max_steps: int | None = None
    tasks: Integers | None = None
    group_size: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every example is seen once."""
        return math.ceil(self.examples / self.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the whole fit: `max_steps` where given, else what the epochs make (at least one)."""
        # 0.07 epochs of 100 steps are 7, of which floats make 7.000000000000001.
        return self.max_steps or max(1, math.ceil(self.epochs * self.steps_per_epoch - 1e-9))

    def order(self, epoch: int) -> list[Integers]:
        """Return the examples of every step of an epoch."""
        if self.tasks is None:
            drawn = _shuffled(self.examples, self.seed, epoch)
        else:
            drawn = _grouped(self.tasks, self.group_size, self.seed, epoch)
        steps = [drawn[start : start + self.batch_size] for start in range(0, self.examples, self.batch_size)]
        if self.tasks is None:
            return steps
        # Whole groups were put first, so that few are cut between steps: the steps are shuffled instead.
        whole = [step for step in steps if len(step) == self.batch_size]
        mixed = [whole[place] for place in _shuffled(len(whole), self.seed, epoch)]
        return mixed + steps[len(whole) :]


def schedule(config: TrainerConfig, data: DataConfig, seed: int, tasks: Integers) -> Schedule:
    """Make the schedule that the configuration asks for; `tasks` holds each example's task."""
    check_batches(config)
    check_data(data)
    grouped = tasks if data.grouping == "task" else None
    size = (len(tasks), config.batch_size, config.epochs, seed)
    return Schedule(*size, max_steps=config.max_steps, tasks=grouped, group_size=data.group_size)


def share(step: Integers, lengths: Integers, rank: int, processes: int, grouped: bool) -> Integers:
    """Return the examples of a step that one of several processes works on.

    Ungrouped they are dealt out by length, so that all have about as many tokens; groups stay together.
    """
    if grouped:
        return np.array_split(step, processes)[rank]
    # Stable: all processes have to divide a step alike.
    return step[np.argsort(-lengths[step], kind="stable")][rank::processes]


def deal(costs: Sequence[int], processes: int) -> list[list[int]]:
    """Divide units of given cost among processes that have about as much each: the largest first, to who has least."""
    dealt: list[list[int]] = [[] for _ in range(processes)]
    filled = [0] * processes
    for unit in sorted(range(len(costs)), key=lambda unit: (-costs[unit], unit)):
        least = filled.index(min(filled))
        dealt[least].append(unit)
        filled[least] += costs[unit]
    return dealt


def runs(step: Integers, tasks: Integers) -> list[Integers]:
    """Cut a step's examples where the task changes, same tasks brought together first."""
    # Stable: within a task examples stay in the order in which they were drawn, and groups are cut from that.
    ordered = step[np.argsort(tasks[step], kind="stable")]
    changes = np.flatnonzero(np.diff(tasks[ordered])) + 1
    return np.split(ordered, changes) if len(step) else []


def pack(costs: Sequence[int], limit: int) -> list[list[int]]:
    """Divide units (examples, or groups) of given cost in tokens among micro-batches of at most `limit`.

    Units of like cost go together; micro-batches are about equally full. A unit above the limit is alone.
    """
    wanted = sum(costs) / max(1, math.ceil(sum(costs) / limit))
    batches: list[list[int]] = []
    filled = 0
    for unit in sorted(range(len(costs)), key=lambda unit: (-costs[unit], unit)):
        if not batches or filled >= wanted or filled + costs[unit] > limit:
            batches.append([])
            filled = 0
        batches[-1].append(unit)
        filled += costs[unit]
    return batches


def pack_padded(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """The same for padded batches: rows times the longest row is at most `limit`."""
    batches: list[list[int]] = []
    for unit in sorted(range(len(lengths)), key=lambda unit: (-lengths[unit], unit)):
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > limit:
            batches.append([])
        batches[-1].append(unit)
    return batches


def _shuffled(count: int, seed: int, epoch: int) -> Integers:
    """Return 0 … count-1 in random order, the same on every machine (raw PCG64 numbers are specified)."""
    numbers = np.random.PCG64([seed, epoch]).random_raw(count)
    # Stable: an order of equal numbers that is numpy's own matter might change with it.
    return np.argsort(numbers, kind="stable")


def _grouped(tasks: Integers, group_size: int, seed: int, epoch: int) -> Integers:
    """Return all examples in groups of one task: whole groups first, then the smaller rests."""
    drawn = _shuffled(len(tasks), seed, epoch)
    groups = [
        run[start : start + group_size]
        for run in runs(drawn, tasks)
        for start in range(0, len(run), group_size)
    ]
    mixed = [groups[place] for place in _shuffled(len(groups), seed, epoch)]
    return np.concatenate(sorted(mixed, key=lambda group: len(group) < group_size))
