"""What the framework itself costs: a finished study looked at again, a large plan, the overhead of one cell.

`python -m benchmarks.grid` prints them beside their targets.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from instruct_ablate.cell.state.record.record import ScoreBlock
from instruct_ablate.cell.state.store import missing_record, now, write_record
from instruct_ablate.cost import Cost
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.grid.planning.plan import compose_plan, planned
from instruct_ablate.metrics import Score, Scores

ROOT = Path(__file__).parents[1]
FINISHED = ("model=tiny_llama", "logger=none", "instruction=original,simplified", "data_budget=2,8")
CELL = (
    "model=tiny_llama",
    "logger=none",
    "tasks.test_tasks=3",
    "tasks.test_instances=5",
    "data_budget.tasks=3",
)


def seeds(count: int) -> str:
    return f"seed={','.join(map(str, range(count)))}"


def finished_study(folder: Path) -> tuple[float, float]:
    """Seconds and MiB of the same command over a finished study of 200 trained cells and the untuned one."""
    words = (*FINISHED, seeds(50), f"output={folder}")
    score = Score("overall", 100, (("exact_match", 50.0), ("rougeL", 50.0), ("uniform_guess", 50.0)))
    block = ScoreBlock("original", "predictions/original.jsonl", Scores(score, score, (score,), (score,), ()))
    for cell in compose_plan(words).cells:
        record = missing_record(cell.identity)
        write_record(cell.folder, replace(record, state="done", blocks=(block,), cost=Cost(), finished=now()))
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "-m", *words], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def large_plan(folder: Path) -> float:
    """Seconds of a plan of 1,000 trained cells."""
    started = time.perf_counter()
    words = (*FINISHED[:3], "data_budget=1,2,3,4,8", seeds(100), f"output={folder}")
    cells = planned(compose_plan(words), {})
    assert len(cells) == 1001
    return time.perf_counter() - started


def overhead(folder: Path, cells: int = 4) -> float:
    """Seconds a cell takes beyond its own work (loading, training, testing), caches warm and modules loaded."""
    from instruct_ablate.cell.run import runner
    from instruct_ablate.cell.run.job import Job, Outcome
    from instruct_ablate.cell.run.stages import work

    inside: list[float] = []

    def timed(job: Job) -> Outcome:
        started = time.perf_counter()
        outcome = work(job)
        inside.append(time.perf_counter() - started)
        return outcome

    config = compose_config((*CELL, "data_budget=2", f"output={folder}"))
    runner.run_cell(replace(config, seed=1000), timed)
    inside.clear()
    started = time.perf_counter()
    for seed in range(cells):
        runner.run_cell(replace(config, seed=seed), timed)
    return (time.perf_counter() - started - sum(inside)) / cells


def main(arguments: Sequence[str] = ()) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seconds, memory = finished_study(Path(folder) / "finished")
        print(
            f"finished study of 200 cells again: {seconds:.1f} s (target 20), {memory:.0f} MiB (target 300)"
        )
        print(f"plan of 1,000 cells: {large_plan(Path(folder) / 'plan'):.1f} s (target 60)")
        print(f"overhead per cell: {overhead(Path(folder) / 'cells'):.2f} s (target 3)")


if __name__ == "__main__":
    main(sys.argv[1:])
