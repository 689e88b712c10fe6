"""What the page's prediction browser shows: prompts and answers of the same instances under every variant."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.trained_on import budget_text, trained_on
from instruct_ablate.disk.whole_files import inside
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import find_metric
from instruct_ablate.report.page.sample import (
    FEWEST,
    MOST_ROWS,
    Block,
    ChangedError,
    Sample,
    choose,
    line_reader,
    read_sample,
)
from instruct_ablate.report.rows.columns import shown_metrics

MOST_TEXT = 4_000  # characters of a prompt or an answer
MOST_PACKED = 24_000_000  # bytes: with figures and tables a page stays below 30 MB


@dataclass
class Gathered:
    """Texts once each, and by task and instance one answer per column (cell and test instruction)."""

    metrics: tuple[str, ...]
    texts: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, column: int, row: PredictionRow) -> None:
        """Take in what a column answered to an instance."""
        if row.task not in self.tasks:
            self.tasks[row.task] = {"category": row.category, "kind": row.kind, "instances": {}}
        instances = self.tasks[row.task]["instances"]
        if row.instance_id not in instances:
            instances[row.instance_id] = {"references": list(row.references), "answers": []}
        found = instances[row.instance_id]
        prompt, answer = self._numbered(row.prompt), self._numbered(row.prediction)
        known = dict(reversed(row.values))  # the first counts, as in `row.get`
        values = [None if (value := known.get(name)) is None else round(value, 3) for name in self.metrics]
        # Of two data sets in one study an instance of one name may have other right outputs in each.
        own = [] if list(row.references) == found["references"] else [list(row.references)]
        said = [int(row.cut), *own] if row.cut or own else []
        found["answers"].append([column, prompt, answer, row.right, values, *said])

    def _numbered(self, text: str) -> int:
        half = MOST_TEXT // 2  # the instance's own input stands at a prompt's end
        cut = text if len(text) <= MOST_TEXT else f"{text[:half]} […] {text[-half:]}"
        return self.texts.setdefault(cut, len(self.texts))


def packed_data(
    study: Path, cells: Sequence[CellRecord], rest: dict[str, Any], columns: Sequence[str] = ()
) -> str:
    """Pack the browser's data with the `rest` of a page's data; fewer predictions where their texts are long."""
    most = MOST_ROWS
    while True:
        sample = choose(cells, most)
        text = packed({"browser": browser_data(study, sample, columns), **rest})
        if len(text) <= MOST_PACKED or sample.rows <= FEWEST:
            return text
        # A tenth less than in proportion: texts are not all of one length, and each try packs all anew.
        most = int(0.9 * sample.rows * MOST_PACKED / len(text))


def browser_data(study: Path, sample: Sample, columns: Sequence[str] = ()) -> dict[str, Any]:
    """Gather the chosen predictions, with a note that says what is left out."""
    metrics = shown_metrics((cell for cell, _ in sample.blocks), columns)
    gathered, missing, changed = _gather(study, sample, metrics)
    notes = [
        sample.note,
        f"No predictions on disk: {', '.join(missing)}." if missing else "",
        f"Not shown, for their predictions were changed after they were scored: {', '.join(changed)}."
        if changed
        else "",
    ]
    note = " ".join(filter(None, notes))
    return {
        **_head(sample.blocks, metrics),
        "tasks": gathered.tasks,
        "texts": list(gathered.texts),
        "note": note,
    }


def browser_head(blocks: Sequence[Block], columns: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a served page knows before it fetches predictions: columns, metrics and tasks."""
    tasks = {
        task.score.name: {"category": task.category, "kind": task.kind}
        for _, block in blocks
        for task in block.scores.tasks
    }
    metrics = shown_metrics((cell for cell, _ in blocks), columns)
    return {**_head(blocks, metrics), "tasks": tasks, "texts": [], "note": "", "served": True}


def _head(blocks: Sequence[Block], metrics: Sequence[str]) -> dict[str, Any]:
    legend = Legend(cell.setting for cell, _ in blocks)
    return {
        "columns": [_column(cell, block, legend) for cell, block in blocks],
        "metrics": [find_metric(name).heading.replace("\n", " ") for name in metrics],
    }


def _gather(study: Path, sample: Sample, metrics: tuple[str, ...]) -> tuple[Gathered, list[str], list[str]]:
    """Read the chosen predictions; also name the cells whose files are gone or damaged, and those of changed files."""
    gathered, read = Gathered(metrics), line_reader()
    missing: list[str] = []
    changed: list[str] = []
    for column, (cell, block) in enumerate(sample.blocks):
        try:
            rows = read_sample(inside(study / cell.name, block.predictions), sample.per_task, read, block)
        except ChangedError:
            changed.append(cell.name)
            continue
        except (OSError, UserError):
            missing.append(cell.name)
            continue
        if sample.per_task is None and len(rows) != block.scores.overall.instances:
            missing.append(cell.name)  # cut short
            continue
        for row in rows:
            gathered.add(column, row)
    return gathered, missing, changed


def _column(cell: CellRecord, block: ScoreBlock, legend: Legend) -> dict[str, Any]:
    setting = cell.setting
    return {
        "cell": cell.name,
        "model": setting.model,
        "budget": setting.budget,
        "shown_budget": budget_text(setting),
        "trained": trained_on(setting),
        "place": legend.place(setting, "model", "data_budget", "data_budget.total", "instruction"),
        "tested": block.instruction,
        "template": cell.template(block),
        "seed": cell.seed,
    }


def packed(data: object) -> str:
    """Compress data for a page: JSON, gzip (without a date, so the same data give the same bytes), base64."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return base64.b64encode(gzip.compress(text, compresslevel=4, mtime=0)).decode()
