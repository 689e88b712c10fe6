"""A cell's process without a model: what `STANDIN_<part of the cell's name>` says it does."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from instruct_ablate.cell.run import runner
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.task_function import run_one
from instruct_ablate.grid.launch import worker
from tests.standins import replace_inputs, work


def act(job: Job) -> Outcome:
    (job.folder / "process").write_text(str(os.getpid()))
    (job.folder / "environment.json").write_text(json.dumps(dict(os.environ)))
    (job.folder / "threads").write_text(str(job.config.trainer.threads))
    order = os.environ.get(f"STANDIN_{job.config.seed}", "")
    if order == "killed":
        sys.stdout.write("these were my last words\n")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "broken":
        raise RuntimeError("it broke")
    if order == "long":
        Path(job.folder / "began").touch()
        time.sleep(60)
    return work(job)


class Clean:
    """Stands in for the note of the process's state: says what a cell left when told to."""

    def restore(self, folder: Path) -> list[str]:
        return ["a thread still runs"] if os.environ.get("STANDIN_LEFT") else []


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    replace_inputs(patch)
    patch.setattr(runner, "_work", act)
    patch.setattr(worker, "_first_of_several", lambda logger: Clean())
    if os.environ.get("STANDIN_MUTE"):
        sys.exit("no such module")
    worker.serve(run_one, int(sys.argv[1]))
