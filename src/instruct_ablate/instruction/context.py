"""What a variant may know besides its task: the seed, the parameters and the other tasks."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from typing import Literal

from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks.task import Task, TaskCollection

Side = Literal["train", "validation", "test"]


def hashed(*parts: object) -> int:
    """Return a 64-bit number made of `parts` alone: the same on every machine and in every process."""
    # A sign that names do not have: ("a", "bc") and ("ab", "c") are two.
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True)
class Context:
    """The seed and all tasks of one side; what follows `tasks` is the instruction's.

    `tasks` are the side's tasks in full, before any budget: a variant is the same at every budget, and never borrows
    from the other side. Runs, checks and the audit make it with `of` alone, so that all see the same variant.
    """

    seed: int
    tasks: tuple[Task, ...] = field(default=(), repr=False)
    rate: float = 0.2
    correct: float = 0.5
    num_positive: int = 2
    annotation: str | None = None
    corpus: str | None = None
    cache: str = field(default=".cache", compare=False)  # where a published annotation lies

    @classmethod
    def of(cls, config: Config, collection: TaskCollection, side: Side) -> Context:
        """Return what the variants of a cell know on one side; `config` is the cell's effective configuration.

        Variants of tasks that are held out may borrow from those that are trained on; never the other way round.
        """
        known = {
            "train": collection.train,
            "validation": (*collection.train, *collection.validation),
            "test": collection.test,
        }
        return cls(config.seed, known[side], cache=config.cache)

    def under(self, instruction: InstructionConfig) -> Context:
        """Return the context with an instruction's parameters."""
        return replace(
            self,
            rate=instruction.rate,
            correct=instruction.correct,
            num_positive=instruction.num_positive,
            annotation=instruction.annotation,
            corpus=instruction.corpus,
        )

    def random(self, task: Task, purpose: str) -> random.Random:
        """Return a generator that depends on the seed, the task's name and the purpose alone."""
        # With the purpose: drawn by one sequence, what several variants do to a task would hang together.
        return random.Random(hashed(self.seed, task.name, purpose))

    def whole(self, task: Task) -> Task:
        """Return the task with all its instances, as the collection has it; itself where it is not there."""
        return next((other for other in self.tasks if other.name == task.name), task)

    def pick(self, task: Task, others: list[Task], purpose: str) -> Task:
        """Choose one of `others` for `task`, whatever their order (the smallest hash of both names wins)."""
        return min(others, key=lambda other: (hashed(self.seed, purpose, task.name, other.name), other.name))
