"""What the goldens hold, computed from today's code: `make.py` writes it, the tests compare with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from instruct_ablate.cell.mirror.wandb_run import job_type, run_id
from instruct_ablate.cell.state.setting.keys import IMPORTED
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Axes, Setting
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.differences import difference_table, differences
from instruct_ablate.report.tables.tables import comma_separated, main_table
from instruct_ablate.scores import Score, Scores
from instruct_ablate.tasks.collection import read_tasks
from tests.goldens import cases


def identity_row(name: str, overrides: Sequence[str], alike: str | None, folder: Path) -> dict[str, Any]:
    """Identify a case; what was hashed is left out where the case is another one over again."""
    identity = cases.identity_of(overrides, folder)
    if name in cases.UNORDERED:
        identity = cases.before_orders(identity)
    row: dict[str, Any] = {"name": name, "overrides": list(overrides)}
    reference = "original" if identity.setting.baseline else cases.compose(overrides, folder).reference
    axes = axes_of(identity.setting, identity.seed, reference)
    row |= {"hash": identity.hash, "folder": identity.name, "axes": dataclasses.asdict(axes)}
    if name in cases.WANDB:
        row["wandb"] = {"id": run_id(identity.hash), "job_type": job_type(identity.setting)}
    return {**row, "alike": alike} if alike else {**row, "counted": identity.counted}


def axes_of(setting: Setting, seed: int, reference: str = "original") -> Axes:
    """Return what version 1 said of a cell's place: a setting's words, and defaults for what it does not read."""
    own_prompt = setting.imported or setting.baseline
    prompt, decoding = (IMPORTED, IMPORTED) if setting.imported else ("plain", "greedy")
    return Axes(
        setting.text("tasks"),
        setting.instruction or (setting.tests[0] if setting.imported else reference),
        int(str(setting.get("instruction.num_positive"))),
        setting.budget,
        None if setting.get("data_budget.tasks") is None else int(str(setting.get("data_budget.tasks"))),
        setting.model,
        str(setting.get("method") or "full"),
        prompt if own_prompt else setting.text("prompt"),
        decoding if own_prompt else setting.text("evaluation.decoding"),
        seed,
    )


def task_rows(name: str, overrides: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the tasks of a case as they are stored beside their instances, with their digests."""
    tasks = cases.compose(overrides, folder).tasks
    cache = folder / "stored" / name
    total = read_tasks(tasks, cache).content_hash
    (stored,) = cache.glob("tasks/*/tasks.json")
    rows = json.loads(stored.read_text(encoding="utf-8"))
    return {"name": name, "overrides": list(overrides), "content_hash": total, "rows": rows}


def import_row(name: str, folder: Path) -> dict[str, Any]:
    """Import a case."""
    record = cases.import_cell(cases.IMPORTS[name], folder)
    return {
        "name": name,
        "hash": record.identity,
        "folder": record.name,
        "axes": repr(axes_of(record.setting, record.seed)),
    }


UNREAD = {
    "untuned": ((*cases.UNTUNED, *cases.TRAINS_OTHERWISE), ("trainer.", "data.", "data_budget.", "method.", "seed")),
    "baseline": (
        ("model=majority", *cases.TRAINS_OTHERWISE, *cases.TESTS_OTHERWISE),
        ("trainer.", "data.", "data_budget.", "method.", "prompt.", "evaluation.", "model.", "seed"),
    ),
    "trained in full": ((*cases.TINY, "method.rank=3", "method.alpha=5", "method.dropout=0.1"), ("method.",)),
}  # fmt: skip


def neutral_values(folder: Path) -> dict[str, Any]:
    """Return what is hashed in place of settings that a cell does not use, although all of them are set otherwise."""
    found: dict[str, Any] = {}
    for name, (overrides, keys) in UNREAD.items():
        counted = cases.identity_of(overrides, folder).counted
        found[name] = {key: value for key, value in counted.items() if key.startswith(keys)}
    simplified = (*cases.TINY, "instruction=simplified", "instruction.rate=0.9", "instruction.correct=0.1")
    found["an instruction without parameters"] = cases.identity_of(simplified, folder).counted["instruction"]
    majority = ("model=majority", "instruction=delusive", "evaluation.instructions=[simplified,delusive]")
    found["what a baseline is shown"] = cases.identity_of(majority, folder).counted["tested"]
    return found


def scores_as_then(scores: Scores) -> dict[str, Any]:
    """Return scores in the shape that they were frozen in: the metrics of that day as fields of their own."""
    names = ("exact_match", "rouge1", "rougeL", "format_correctness", "uniform_guess")

    def fields(score: Score) -> dict[str, Any]:
        place = {"name": score.name, "instances": score.instances}
        return {**place, **{name: score.get(name) for name in names}, "extra": []}

    return {
        "overall": fields(scores.overall),
        "task_mean": fields(scores.task_mean),
        "kinds": [fields(score) for score in scores.kinds],
        "categories": [fields(score) for score in scores.categories],
        "tasks": [
            {"kind": task.kind, "category": task.category, "score": fields(task.score)}
            for task in scores.tasks
        ],
    }


def report_texts(folder: Path) -> dict[str, str]:
    """Return what a study's report says of its scores, by the file that it is frozen in."""
    study = read_study(folder)
    found = differences(study.cells, study.reference)
    scores = {
        cell.name: {block.instruction: scores_as_then(block.scores) for block in cell.blocks}
        for cell in sorted(study.cells, key=lambda cell: cell.name)
    }
    return {
        "expected_main.csv": comma_separated(
            main_table(build_rows(study.cells, study.reference), study.reference)
        ),
        "expected_differences.csv": comma_separated(
            difference_table(found, Legend(cell.setting for cell in study.cells))
        ),
        "expected_scores.json": json.dumps(scores, indent=1, ensure_ascii=False) + "\n",
    }
