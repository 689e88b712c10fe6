"""What a variant may know besides its task: the seed, the parameters and the other tasks."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

from instruct_ablate.tasks.task import Task


def hashed(*parts: object) -> int:
    """Return a 64-bit number made of `parts` alone: the same on every machine and in every process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True)
class Context:
    """The seed and all tasks; `rate`, `correct` and `num_positive` are set from the configuration.

    `tasks` are the collection's tasks in full, before any budget: a variant is the same at every budget.
    """

    seed: int
    tasks: tuple[Task, ...] = field(default=(), repr=False)
    rate: float = 0.2
    correct: float = 0.5
    num_positive: int = 2

    def random(self, task: Task, purpose: str) -> random.Random:
        """Return a generator that depends on the seed, the task's name and the purpose alone."""
        return random.Random(hashed(self.seed, task.name, purpose))

    def whole(self, task: Task) -> Task:
        """Return the task with all its instances, as the collection has it; itself where it is not there."""
        return next((other for other in self.tasks if other.name == task.name), task)

    def pick(self, task: Task, others: list[Task], purpose: str) -> Task:
        """Choose one of `others` for `task`, whatever their order (the smallest hash of both names wins)."""
        return min(others, key=lambda other: (hashed(self.seed, purpose, task.name, other.name), other.name))
