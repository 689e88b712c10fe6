"""Keys that say how written answers end, in cells of which none is written: rows under two names are one finding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.canonical import effective, is_baseline
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.reading_checks import scored_tasks
from instruct_ablate.schema import Config
from instruct_ablate.tasks.task import Task

# As answers end by themselves.
ENDING: dict[str, Any] = {"stop": "token", "answer_slack": None, "cut_wrong_answers": False}


def writes(config: Config) -> bool:
    """Whether a cell writes any answer: under another decoding than greedy, labels are chosen among where there are.

    What cannot be read is told by its own check, and may be written.
    """
    return config.evaluation.decoding == "greedy" or any(
        task is None or task.unlisted for task in _scored(config)
    )


def cuts(config: Config) -> bool:
    """Whether a cell writes any answer to classification, which alone `evaluation.cut_wrong_answers` ends."""
    return config.evaluation.decoding == "greedy" and any(
        task is None or task.kind == "classification" for task in _scored(config)
    )


def _scored(config: Config) -> Sequence[Task | None]:
    """Return the tasks that a cell is scored on; None for those that cannot be read."""
    try:
        return scored_tasks(config.tasks, Path(config.cache))
    except UserError:
        return (None,)


def ended_alike(configs: Sequence[Config]) -> list[str]:
    """Say which cells of a grid differ in nothing but how written answers end, where none of theirs is written."""
    groups: dict[str, dict[str, Config]] = {}
    for config in configs:
        if config.evaluation.decoding != "greedy" and not is_baseline(config):
            cell = effective(config)
            plain = replace(cell, evaluation=replace(cell.evaluation, **ENDING))
            groups.setdefault(repr(plain), {}).setdefault(_ending(cell), cell)
    found: dict[str, None] = {}
    for cells in groups.values():
        one = next(iter(cells.values()))
        if len(cells) > 1 and not writes(one):
            found.setdefault(_told(tuple(cells), one))
    return list(found)


def _ending(config: Config) -> str:
    given = {key: json.dumps(vars(config.evaluation)[key]).strip('"') for key in ENDING}
    return ", ".join(f"evaluation.{key}={value}" for key, value in given.items())


def _told(endings: Sequence[str], config: Config) -> str:
    parts = [one.split(", ") for one in endings]
    differing = [place for place in range(len(ENDING)) if len({one[place] for one in parts}) > 1]
    names = " and ".join(" ".join(one[place] for place in differing) for one in parts)
    return (
        f"{names}: under evaluation.decoding={config.evaluation.decoding} every answer here is chosen among labels and "
        "none is written, so that their rows are equal: one finding, not two"
    )
