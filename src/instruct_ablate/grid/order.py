"""The order of cells: untuned and reference first, then seeds breadth-first, models side by side.

A grid that is cut short can then already be analysed: every variant has its reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

C = TypeVar("C", bound=Any)


def ordered(cells: Sequence[C]) -> list[C]:
    """Sort cells (each with `config` and `identity.axes`) into the order they are run in."""
    return sorted(cells, key=_key)


def _key(cell: Any) -> tuple[Any, ...]:
    axes, config = cell.identity.axes, cell.config
    baseline = config.model.source == "baseline"
    return (
        0 if baseline else 1 if axes.untuned else 2,
        axes.tasks,
        axes.model,
        axes.seed,
        axes.prompt,
        0 if axes.instruction == config.reference else 1,
        axes.instruction,
        axes.data_budget,
        axes.decoding,
        axes.method,
    )
