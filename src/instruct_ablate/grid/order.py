"""The order of cells: untuned and reference first, then seeds breadth-first, models side by side.

A grid that is cut short can then already be analysed: every variant has its reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from instruct_ablate.cell.state.setting.legend import Legend

C = TypeVar("C", bound=Any)


def ordered(cells: Sequence[C]) -> list[C]:
    """Sort cells (each with `config` and `identity`) into the order they are run in."""
    legend = Legend(cell.identity.setting for cell in cells)
    return sorted(cells, key=lambda cell: _key(cell, legend))


def _key(cell: Any, legend: Legend) -> tuple[Any, ...]:
    setting, reference = cell.identity.setting, cell.config.reference
    return (
        0 if setting.baseline else 1 if setting.untuned else 2,
        setting.text("tasks"),
        setting.model,
        cell.identity.seed,
        setting.instruction not in ("", reference),
        setting.instruction,
        setting.budget,
        legend.order(setting, reference),
    )
