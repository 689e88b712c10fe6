"""Learning curves of a study: which cells' are drawn, and under which names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.disk import learning_curve

MOST = 8


@dataclass(frozen=True, slots=True)
class Curve:
    """The loss over steps of one cell, and the setting that it stands for."""

    setting: Setting
    name: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]


def learning_curves(study: Path, cells: Sequence[CellRecord]) -> Iterator[Curve]:
    """Yield the curve of one cell per setting, of the first so many."""
    legend = Legend(cell.setting for cell in cells if not cell.setting.untuned)
    seen: set[Setting] = set()
    for cell in cells:
        if cell.setting in seen or len(seen) >= MOST:
            continue
        rows = learning_curve.read_curve(study / cell.name / learning_curve.FILE)
        rows = [row for row in rows if "loss" in row]
        if rows:
            seen.add(cell.setting)
            name = legend.place(cell.setting, always=("instruction", "data_budget"))
            steps, losses = (int(row["step"]) for row in rows), (row["loss"] for row in rows)
            yield Curve(cell.setting, name, tuple(steps), tuple(losses))


def count_curves(study: Path, cells: Sequence[CellRecord]) -> int:
    """Count the settings that have a curve."""
    return len({cell.setting for cell in cells if os.path.lexists(study / cell.name / learning_curve.FILE)})
