"""What the page's prediction browser shows: prompts and answers of the same instances under every variant."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from instruct_ablate.cell.predictions import read_predictions
from instruct_ablate.cell.record import CellRecord, ScoreBlock

MOST_ROWS = 100_000  # predictions on a page
MOST_TEXT = 4_000  # characters of a prompt
Block = tuple[CellRecord, ScoreBlock]


def browser_data(study: Path, cells: Sequence[CellRecord]) -> dict[str, Any]:
    """Gather predictions: texts once each, and one answer per column (cell and test instruction) and instance."""
    blocks, total = chosen_blocks(cells)
    texts: dict[str, int] = {}
    tasks: dict[str, dict[str, Any]] = {}
    for column, (cell, block) in enumerate(blocks):
        for row in read_predictions(study / cell.name / block.predictions):
            task = tasks.setdefault(row.task, {"category": row.category, "kind": row.kind, "instances": {}})
            blank = {"references": list(row.references), "answers": []}
            found = task["instances"].setdefault(row.instance_id, blank)
            prompt = _numbered(texts, (row.prompt or "")[:MOST_TEXT])
            answer = _numbered(texts, row.prediction[:MOST_TEXT])
            found["answers"].append([column, prompt, answer, round(row.exact_match, 3), round(row.rougeL, 3)])
    columns = [_column(cell, block.instruction) for cell, block in blocks]
    return {"columns": columns, "tasks": tasks, "texts": list(texts), "shown": len(blocks), "total": total}


def chosen_blocks(cells: Sequence[CellRecord]) -> tuple[list[Block], int]:
    """Choose the score blocks a page has room for: first seeds first, so that every variant is there."""
    every = [(cell, block) for cell in cells if cell.state == "done" for block in cell.blocks]
    chosen: list[Block] = []
    room = MOST_ROWS
    for cell, block in sorted(every, key=lambda pair: pair[0].axes.seed):
        room -= block.scores.overall.instances
        if room < 0 and chosen:
            break
        chosen.append((cell, block))
    places = {id(block): place for place, (_, block) in enumerate(every)}
    return sorted(chosen, key=lambda pair: places[id(pair[1])]), len(every)


def _numbered(texts: dict[str, int], text: str) -> int:
    return texts.setdefault(text, len(texts))


def _column(cell: CellRecord, tested: str) -> dict[str, Any]:
    axes = cell.axes
    return {
        "cell": cell.name,
        "model": axes.model,
        "budget": axes.data_budget,
        "trained": "(untuned)" if axes.untuned else axes.instruction,
        "tested": tested,
        "seed": axes.seed,
    }


def packed(data: object) -> str:
    """Compress data for a page: JSON, gzip (without a date, so the same data give the same bytes), base64."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, compresslevel=6, mtime=0)).decode()
