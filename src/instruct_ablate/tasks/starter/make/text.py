"""The hand-written part of a task, read from `texts/<name>.txt`.

A text opens with `Key: value` lines (`Labels` are parted by `;` and missing where the task is generation).
Examples follow in blocks of three lines: `+ input` (positive) or `- input` (negative), `= output`,
`: explanation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Shot:
    """A hand-written example: input, output (right or, in a negative example, wrong) and why."""

    input: str
    output: str
    why: str


@dataclass(frozen=True, slots=True)
class Text:
    """What a task says of itself; `labels` is None where the task is generation."""

    category: str
    domain: str
    reasoning: str
    split: str
    definition: str
    labels: tuple[str, ...] | None
    positive: tuple[Shot, ...]
    negative: tuple[Shot, ...]


def read_text(name: str) -> Text:
    """The text of the task of this name."""
    content = (Path(__file__).parent / "texts" / f"{name}.txt").read_text(encoding="utf-8")
    head, *blocks = content.strip().split("\n\n")
    fields = dict(line.split(": ", 1) for line in head.split("\n"))
    labels = tuple(fields["Labels"].split("; ")) if "Labels" in fields else None
    return Text(
        category=fields["Category"],
        domain=fields["Domain"],
        reasoning=fields["Reasoning"],
        split=fields["Split"],
        definition=fields["Definition"],
        labels=labels,
        positive=tuple(_shot(block) for block in blocks if block.startswith("+ ")),
        negative=tuple(_shot(block) for block in blocks if block.startswith("- ")),
    )


def _shot(block: str) -> Shot:
    """The example of a block; every line loses its two-character mark."""
    text, output, why = (line[2:] for line in block.split("\n"))
    return Shot(text, output, why)
