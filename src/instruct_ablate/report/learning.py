"""Learning curves of a study: which cells' are drawn, and under which names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from instruct_ablate import learning_curve
from instruct_ablate.cell.state.legend import Legend
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.cell.state.setting import Setting

MOST = 8


def learning_curves(study: Path, cells: Sequence[CellRecord]) -> Iterator[tuple[str, list[int], list[float]]]:
    """Yield name, steps and losses of one cell per setting, of the first so many."""
    legend = Legend(cell.setting for cell in cells if not cell.setting.untuned)
    seen: set[Setting] = set()
    for cell in cells:
        if cell.setting in seen or len(seen) >= MOST:
            continue
        rows = learning_curve.read_curve(study / cell.name / learning_curve.FILE)
        rows = [row for row in rows if "loss" in row]
        if rows:
            seen.add(cell.setting)
            steps = [int(row["step"]) for row in rows]
            name = legend.place(cell.setting, always=("instruction", "data_budget"))
            yield name, steps, [row["loss"] for row in rows]
