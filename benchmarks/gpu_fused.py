"""LoRA cells of one model in joined steps against the same cells in turn: losses, seconds, memory."""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.fused import apart, config_of, load, prompts_of

from benchmarks import machine
from instruct_ablate.cell.run.side_by_side import side_by_side
from instruct_ablate.disk.learning_curve import FILE, read_curve
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.model.training.fit import fit

CELLS = 8
NEAR = 0.05  # of losses, joined and in turn, in bf16


def fused(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Eight cells (three in the small form) of other seeds, ranks and rates, two short prompts a step."""
    if importlib.util.find_spec("peft") is None:
        yield "skipped", {"needs": ["peft"]}
        return
    case, cells, steps = ("tiny", 3, 3) if given.small else ("short", CELLS, 30)
    bound = 1e-4 if given.small else NEAR
    SHELF.open()
    losses, speeds = [], []
    for way, run in (("in turn", _in_turn), ("joined", _joined)):
        with tempfile.TemporaryDirectory() as folder:
            works = {
                str(cell): partial(_train, given, case, cell, steps, Path(folder)) for cell in range(cells)
            }
            memory, seconds = _measured(given, partial(run, works))
            losses.append([[row["loss"] for row in read_curve(Path(folder) / name / FILE)] for name in works])
        speeds.append(seconds)
        yield way, {"seconds": round(seconds, 3), "peak MiB": memory, "cells": cells, "steps": steps}
    difference = apart(*losses)
    yield (
        "joined against in turn",
        {"times": speeds[0] / speeds[1], "losses apart": difference, "equal": difference < bound},
    )


def _train(given: argparse.Namespace, case: str, cell: int, steps: int, folder: Path) -> None:
    config = config_of(case, cell)
    accelerator = "cpu" if given.device == "cpu" else "auto"
    config = replace(config, trainer=replace(config.trainer, max_steps=steps, accelerator=accelerator))
    fit(load(config), prompts_of(case, cell), config, folder / str(cell))


def _in_turn(works: dict[str, Callable[[], object]]) -> None:
    for work in works.values():
        work()


def _joined(works: dict[str, Callable[[], object]]) -> None:
    side_by_side(works, 8192)


def _measured(given: argparse.Namespace, run: Callable[[], object]) -> tuple[int | None, float]:
    """Return the GPU's peak memory in MiB and the seconds that cells take, loading and the first steps included."""
    if given.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    machine.synchronize(given.device)
    started = time.perf_counter()
    run()
    machine.synchronize(given.device)
    seconds = time.perf_counter() - started
    return round(torch.cuda.max_memory_allocated() / 2**20) if given.device == "cuda" else None, seconds
