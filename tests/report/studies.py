"""Studies on disk, made by hand, for tests of the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import CellRecord, Failure
from instruct_ablate.cell.state.record.record_file import to_json
from instruct_ablate.cell.state.store import DECLARATION
from instruct_ablate.disk.whole_files import write_whole
from instruct_ablate.grid.declaration import Declaration, DeclaredCell
from tests.report.cells import make_cell
from tests.scored import values

HOSTILE = "<script>document.title='broken'</script>"


def rows_of(cell: CellRecord, count: int = 4, words: int = 0) -> list[PredictionRow]:
    """Answers to `count` instances of the classification task; odd ones are right for the original.

    Prompts are longer by so many words, each instance's own.
    """
    trained = cell.setting.tests[0]
    rows = []
    for i in range(count):
        right = i % 2 == 1 if trained == "original" else i % 3 == 0
        text = "positive" if right else HOSTILE
        prompt = f"{trained} prompt {i}: {HOSTILE}" + "".join(
            f" {(i * 7919 + n * n) % 9973}" for n in range(words)
        )
        rows.append(
            PredictionRow(
                "task_c", "Logic", "classification", f"i{i}", prompt, text, ("positive",),
                ("positive", "negative"), False, values(float(right), float(right), float(right), float(right), 0.5),
            )
        )  # fmt: skip
    return rows


def counting(cell: CellRecord, count: int) -> CellRecord:
    """The cell with as many test instances in its scores as there are predictions."""
    blocks = tuple(
        dataclasses.replace(
            block,
            scores=dataclasses.replace(
                block.scores, overall=dataclasses.replace(block.scores.overall, instances=count)
            ),
        )
        for block in cell.blocks
    )
    return dataclasses.replace(cell, blocks=blocks)


def write_study(
    folder: Path, cells: list[CellRecord], hypotheses: tuple[str, ...] = (), count: int = 4, words: int = 0
) -> Path:
    """Write cells, predictions, curves and the declaration of a study."""
    for one in cells:
        cell, place = one, folder / one.name
        place.mkdir(parents=True, exist_ok=True)
        if cell.state == "missing":
            continue
        cell = counting(cell, count)
        write_whole(place / "record.json", to_json(cell))
        write_whole(place / "training.jsonl", '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.5}\n{"ste')
        for block in cell.blocks:
            path = place / block.predictions
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = PredictionWriter(path)
            for row in rows_of(cell, count, words):
                writer.append(row)
            writer.finish()
    declared = tuple(
        DeclaredCell(cell.identity, cell.name, cell.setting, cell.seed, cell.data_hash) for cell in cells
    )
    write_whole(folder / DECLARATION, to_json(Declaration(folder.name, declared, hypotheses=hypotheses)))
    return folder


def small_study(folder: Path, count: int = 4, words: int = 0, budgets: Sequence[int] = (2, 8)) -> Path:
    """Untuned, original and simplified over two seeds and two budgets; one cell missing, one failed."""
    cells = [make_cell(5.0, data_budget=0)]
    for seed in (0, 1):
        for budget in budgets:
            cells.append(make_cell(50.0 + budget + seed, seed=seed, data_budget=budget))
            simplified = make_cell(
                49.0 + budget + seed, seed=seed, data_budget=budget, instruction="simplified"
            )
            cells.append(simplified)
    cells.append(make_cell(None, seed=2))
    failed = make_cell(None, seed=2, instruction="simplified")
    cells.append(dataclasses.replace(failed, state="failed", failure=Failure("out of memory", "")))
    claims = (
        "simplified equals original on exact_match within 5 points",
        "original exceeds untuned on rougeL by 1",
    )
    return write_study(folder, cells, claims, count, words)
