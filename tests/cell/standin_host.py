"""One host of two: runs a stand-in cell slowly, with a short heartbeat; told of on standard output.

Arguments: folder, host's name, pause between rows; and, to be suspended there, which rename (`record.json`, `2`).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.run import runner
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.state import heartbeat
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow, make_row, written_rows
from instruct_ablate.disk.learning_curve import FILE, append_row, keep_rows
from instruct_ablate.disk.whole_files import write_whole
from instruct_ablate.metrics import score_all
from instruct_ablate.prompt.prompt import Prediction, Prompt
from tests.standins import make_config, replace_inputs, work

ROWS = 12


def slowly(job: Job) -> Outcome:
    """Train and test for a second or so, writing as a cell does."""
    job.heartbeat.progress("train")
    keep_rows(job.folder / FILE, 0)
    for step in range(1, ROWS + 1):
        time.sleep(pause)
        append_row(job.folder / FILE, {"step": step})
        write_whole(job.folder / "checkpoints" / f"step-{step:08d}.ckpt", str(step))
    path = job.folder / "predictions" / "original.jsonl"
    there = {row.key for row in written_rows(path)}
    with PredictionWriter(path) as writer:
        for number in range(ROWS):
            if ("task", str(number)) not in there:
                time.sleep(pause)
                writer.append(from_row(number))
        writer.finish()
    return replace(work(job), notes=(sys.argv[2],))


def from_row(number: int) -> PredictionRow:
    prompt = Prompt("task", "c", "generation", str(number), "in", ("yes",), "yes")
    prediction = Prediction(prompt, "yes")
    return make_row(prediction, score_all([prediction])[0])


def suspend_at(name: str, time: int) -> Callable[[Path, Path], Path]:
    """Rename as ever, but stop right before the so-manieth time that a file takes this name."""
    seen: list[Path] = []

    def rename(path: Path, target: Path) -> Path:
        seen.extend([target] if Path(target).name == name else [])
        if len(seen) == time and Path(target).name == name:
            os.kill(os.getpid(), signal.SIGSTOP)
        return REPLACE(path, target)

    return rename


REPLACE = Path.replace

if __name__ == "__main__":
    heartbeat.BEAT, heartbeat.STALE = 0.1, 0.6  # here alone: tests import this file too
    pause = float(sys.argv[3])
    patch = pytest.MonkeyPatch()
    replace_inputs(patch)
    if len(sys.argv) > 4:
        patch.setattr(Path, "replace", suspend_at(sys.argv[4], int(sys.argv[5])))
    record = runner.run_cell(make_config(Path(sys.argv[1])), slowly)
    sys.stdout.write(" ".join([record.state, *record.notes]) + "\n")
    sys.stdout.flush()
