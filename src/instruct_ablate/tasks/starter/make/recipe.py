"""The recipe of a task: its text, its hand-written examples, and how one instance is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

Pair = tuple[str, str | tuple[str, ...]]
Draw = Callable[[Random], Pair]


@dataclass(frozen=True, slots=True)
class Shot:
    """A hand-written example: input, output (right or, in a negative example, wrong) and why."""

    input: str
    output: str
    why: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a task file is made of; `labels` is None where the task is generation."""

    name: str
    category: str
    domain: str
    definition: str
    labels: tuple[str, ...] | None
    draw: Draw
    positive: tuple[Shot, ...]
    negative: tuple[Shot, ...]
    reasoning: str = "Commonsense Reasoning"
    split: Literal["train", "test"] = "train"
