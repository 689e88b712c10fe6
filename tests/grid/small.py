"""Small real grids, run as users run them: the tiny model on a few starter tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.grid.study import read_study

ROOT = Path(__file__).resolve().parents[2]
TASKS = (
    "model=tiny_llama", "tasks.test_tasks=3", "tasks.test_instances=5", "data_budget.tasks=3", "logger=none",
    "trainer.precision=fp32", "trainer.accelerator=cpu", "trainer.threads=1", "trainer.progress=false",
    "reuse=none",
)  # fmt: skip
GRID = (*TASKS, "instruction=original,simplified", "data_budget=0,1")
LONG = (*TASKS, "data_budget=4", "trainer.checkpoint_every_steps=1000", "with_untuned=false")


def environment(**more: str) -> dict[str, str]:
    """The environment of a command."""
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **more}


def sweep(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `train.py -m` in a folder."""
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "-m", *words],
        cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


def start(folder: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """Start `train.py -m` in a folder, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "-m", *words],
        cwd=folder, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
        # Tests that a shell runs in the background ignore Ctrl-C, and would hand that on.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
    )  # fmt: skip


def records(folder: Path, study: str = "ablation") -> dict[str, CellRecord]:
    """Read the cells of a study by name."""
    return {record.name: record for record in read_study(folder / "multirun" / study).cells}


def outcome(folder: Path, study: str = "ablation") -> dict[str, object]:
    """Return what must be the same on every launcher: identities, scores, predictions."""
    found: dict[str, object] = {}
    for name, record in records(folder, study).items():
        files = [folder / "multirun" / study / name / block.predictions for block in record.blocks]
        found[name] = (record.identity, record.state, record.blocks, [file.read_bytes() for file in files])
    return found


def states(folder: Path, study: str = "ablation") -> Sequence[str]:
    """Return the states of a study's cells, sorted."""
    return sorted(record.state for record in records(folder, study).values())
