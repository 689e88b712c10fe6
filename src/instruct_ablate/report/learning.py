"""Learning curves of a study: which cells' are drawn, and under which names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from instruct_ablate import learning_curve
from instruct_ablate.cell.state.record import CellRecord

MOST = 8


def learning_curves(study: Path, cells: Sequence[CellRecord]) -> Iterator[tuple[str, list[int], list[float]]]:
    """Yield name, steps and losses of one cell per variant and budget."""
    seen: set[tuple[str, int]] = set()
    for cell in cells:
        kind = (cell.axes.instruction, cell.axes.data_budget)
        if kind in seen or len(seen) >= MOST:
            continue
        rows = learning_curve.read_curve(study / cell.name / learning_curve.FILE)
        if rows:
            seen.add(kind)
            steps = [int(row["step"]) for row in rows]
            yield f"{kind[0]}, budget {kind[1]}", steps, [row["loss"] for row in rows]
