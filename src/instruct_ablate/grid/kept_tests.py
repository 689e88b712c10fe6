"""What an untuned model's test keeps for the cells of its sweep that leave the same layers as they are.

By itself it knows of no others: a sweep does, before its first cell starts. With `method.layers=top:N` those read what
the layers below make of the test prompts, which the untuned model has to compute anyway. No result depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from instruct_ablate.cell.state.canonical import effective, is_baseline, is_untuned, shown_at_test
from instruct_ablate.configuration.top_layers import ALL
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.schema import BudgetConfig, Config

NOTHING = BudgetConfig(0)


def keeping_for_others(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells as they are launched: an untuned model's test keeps what most of the others read of it."""
    readers: dict[str, Counter[str]] = {}
    for cell in cells:
        method = cell.config.method
        if (
            method.name != "lora"
            or method.layers == ALL
            or is_baseline(cell.config)
            or is_untuned(cell.config)
        ):
            continue
        untuned = replace(cell.config, data_budget=NOTHING)
        if _labels(cell.config) & _labels(untuned):
            readers.setdefault(_read(untuned), Counter())[method.layers] += 1
    return [_keeping(cell, readers) for cell in cells] if readers else list(cells)


def _labels(config: Config) -> set[str]:
    """Return the instructions that a cell is tested under."""
    return {label for label, _ in shown_at_test(effective(config))}


def _keeping(cell: Cell, readers: dict[str, Counter[str]]) -> Cell:
    if is_baseline(cell.config) or not is_untuned(cell.config):
        return cell
    found = readers.get(_read(cell.config))
    if found is None:
        return cell
    ((layers, _),) = found.most_common(1)
    trainer = replace(cell.config.trainer, keep_below=layers)
    overrides = (*cell.overrides, f"trainer.keep_below={layers}")  # for launchers that compose cells anew
    return replace(cell, config=replace(cell.config, trainer=trainer), overrides=overrides)


def _read(untuned: Config) -> str:
    """Return what decides which batches an untuned model reads, and where they are kept."""
    shaped = effective(untuned)
    trainer = shaped.trainer
    machine = (trainer.precision, trainer.accelerator, trainer.threads, shaped.cache)
    asked = (shaped.tasks, shaped.instruction, shaped.prompt, shaped.evaluation, shaped.seed)
    return repr((shaped.model, shaped.extensions, asked, machine))
