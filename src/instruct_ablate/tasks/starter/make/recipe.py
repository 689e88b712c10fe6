"""The recipe of a task: its text and how one instance is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from instruct_ablate.tasks.starter.make.text import Text

# An input with its right output, or with several right ones.
Pair = tuple[str, str | tuple[str, ...]]
Draw = Callable[[Random], Pair]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a task file is made of."""

    name: str
    text: Text
    draw: Draw
