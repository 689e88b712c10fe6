"""Learning curves as the cells wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from instruct_ablate.cell.state.record import CellRecord

MOST = 8


def learning_curves(study: Path, cells: Sequence[CellRecord]) -> Iterator[tuple[str, list[int], list[float]]]:
    """Yield name, steps and losses of one cell per variant and budget."""
    seen: set[tuple[str, int]] = set()
    for cell in cells:
        kind = (cell.axes.instruction, cell.axes.data_budget)
        path = study / cell.name / "training.jsonl"
        if kind in seen or len(seen) >= MOST or not path.is_file():
            continue
        rows = read_rows(path)
        if rows:
            seen.add(kind)
            yield (
                f"{kind[0]}, budget {kind[1]}",
                [int(row["step"]) for row in rows],
                [row["loss"] for row in rows],
            )


def read_rows(path: Path) -> list[dict[str, float]]:
    """Read a learning curve; a last row cut short is left out."""
    rows: list[dict[str, float]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
