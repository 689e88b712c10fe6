"""The report of a large finished study: seconds, peak memory and the page's size, in a fresh process.

    python benchmarks/report.py [--cells 200] [--instances 12000] [--tasks 119] [--keep DIR] [--json FILE]

The study is made up to size and written by the package's own writers: four variants, five budgets and the seeds that
make so many cells, the untuned model beside them; a record with scores per task, a learning curve and a prediction
file with prompts for every cell. Answers are drawn so that variants differ as little as they do in such studies.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from instruct_ablate.cell.state.environment import environment
from instruct_ablate.cell.state.predictions import PredictionRow, PredictionWriter
from instruct_ablate.cell.state.record import CellRecord, ScoreBlock
from instruct_ablate.cell.state.record_file import to_json
from instruct_ablate.cell.state.setting import Axes, setting_of_axes
from instruct_ablate.cell.state.store import write_record
from instruct_ablate.cost import Cost
from instruct_ablate.grid.study import DECLARATION, Declaration, DeclaredCell
from instruct_ablate.metrics.aggregation import aggregate
from instruct_ablate.whole_files import write_whole

VARIANTS = ("original", "simplified", "delusive", "no_definition")
BUDGETS = (1, 2, 5, 10, 20)
CLAIMS = (
    "simplified equals original on exact_match within 3 points",
    "delusive equals original on rougeL within 2 points",
    "original exceeds untuned on rougeL by 5",
)
GOAL = 10.0  # seconds
# What a report's process says of itself last: nothing of a model's side may be loaded.
CHILD = """
import json, resource, sys, time
from instruct_ablate.command_line import group
group(["report", sys.argv[1]], standalone_mode=False)
assert "torch" not in sys.modules and "transformers" not in sys.modules
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_maxrss / 1024, used.ru_utime + used.ru_stime]))
"""


def places(cells: int) -> Iterator[Axes]:
    """Yield the axes of so many trained cells, after the untuned model's."""
    yield Axes("made_up", "original", 2, 0, None, "made_up", "full", "tk_instruct", "greedy", 0)
    grid = itertools.product(range(cells), BUDGETS, VARIANTS)
    for seed, budget, variant in itertools.islice(grid, cells):
        yield Axes("made_up", variant, 2, budget, None, "made_up", "full", "tk_instruct", "greedy", seed)


def rows_of(axes: Axes, tasks: int, instances: int) -> Iterator[PredictionRow]:
    """Draw a cell's answers; how hard a task is and how seeds differ is the same on every call."""
    seed = f"{axes.instruction} {axes.data_budget} {axes.seed}"
    draw = random.Random(seed)
    gain = (
        -30
        if axes.data_budget == 0
        else axes.data_budget - 2 * VARIANTS.index(axes.instruction) + draw.gauss(0, 2)
    )
    for number in range(instances):
        task = number % tasks
        ease = random.Random(task).uniform(0.3, 0.7) + gain / 100
        yield (
            _classified(axes, draw, task, number, ease)
            if task % 2
            else _written(axes, draw, task, number, ease)
        )


def _classified(axes: Axes, draw: random.Random, task: int, number: int, ease: float) -> PredictionRow:
    right, known = draw.random() < ease, draw.random() < 0.95
    said = "positive" if right else "negative" if known else "It is not clear which."
    return _row(axes, task, number, said, (float(right), float(right), right or known))


def _written(axes: Axes, draw: random.Random, task: int, number: int, ease: float) -> PredictionRow:
    said = " ".join(draw.choices(WORDS, k=12))
    overlap = min(1.0, max(0.0, draw.gauss(ease, 0.2)))
    return _row(axes, task, number, said, (0.0, overlap, None))


WORDS = tuple(
    f"{start}{end}" for start in ("walk", "nation", "happi", "sing") for end in ("", "s", "ing", "ness")
)


def _row(
    axes: Axes, task: int, number: int, said: str, scores: tuple[float, float, bool | None]
) -> PredictionRow:
    right, rouge, inside = scores
    text = " ".join(random.Random(number).choices(WORDS, k=60))
    prompt = f"Definition: {axes.instruction} of task {task}. {EXAMPLES}Now complete:\nInput: {text}\nOutput:"
    labels = ("positive", "negative") if task % 2 else None
    kind = "classification" if task % 2 else "generation"
    references = ("positive",) if task % 2 else (text[:80],)
    return PredictionRow(
        f"task{task:04d}_made_up", f"Category {task % 12}", kind, f"task{task:04d}-{number}", prompt, said,
        references, labels, False, right, rouge, rouge, inside,
    )  # fmt: skip


EXAMPLES = "".join(f"Positive example {n}: {' '.join(WORDS * 2)}\n" for n in (1, 2))


def write_study(folder: Path, cells: int, tasks: int, instances: int) -> None:
    """Write a finished study of so many cells."""
    declared = []
    for axes in places(cells):
        trained = (
            "untuned" if axes.data_budget == 0 else f"{axes.instruction}-{axes.data_budget}-s{axes.seed}"
        )
        record = write_cell(folder / f"made_up-{trained}", axes, tuple(rows_of(axes, tasks, instances)))
        declared.append(DeclaredCell(record.identity, record.name, record.setting, record.seed))
    declaration = Declaration(folder.name, tuple(declared), hypotheses=CLAIMS)
    write_whole(folder / DECLARATION, to_json(declaration))


def write_cell(folder: Path, axes: Axes, rows: tuple[PredictionRow, ...]) -> CellRecord:
    """Write one cell as its runner would."""
    file = f"predictions/{axes.instruction}.jsonl"
    with PredictionWriter(folder / file) as writer:
        for row in rows:
            writer.append(row)
        writer.finish()
    scores = aggregate([row.to_prediction() for row in rows], [row.score for row in rows])
    curve = "".join(json.dumps({"step": step, "loss": 2 / step}) + "\n" for step in range(1, 200))
    write_whole(folder / "training.jsonl", curve)
    block = ScoreBlock(axes.instruction, file, scores)
    made = environment("none", "none")
    setting = setting_of_axes(axes, "0" * 64)
    record = CellRecord(
        folder.name, folder.name, setting, axes.seed, "done", (block,), Cost(1.0, 1), made, data_hash="0" * 64
    )
    write_record(folder, record)
    return record


def measure(study: Path) -> dict[str, object]:
    """Report on a study in a fresh process."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(study)], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    memory, busy = json.loads(done.stdout.splitlines()[-1])
    files = [path for path in (study / "report").rglob("*") if path.is_file()]
    return {
        "report, seconds": round(seconds, 2),
        "goal, seconds": GOAL,
        "processor, seconds": round(busy, 2),
        "peak memory, MiB": round(memory),
        "page, MB": round((study / "report" / "index.html").stat().st_size / 1e6, 1),
        "all files, MB": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "torch imported": False,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--instances", type=int, default=12_000, help="predictions of a cell")
    parser.add_argument("--tasks", type=int, default=119)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="put the study here, or take the one that is here")
    parser.add_argument("--json", type=Path, help="write the result here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = given.keep or Path(folder) / "large"
        if not (study / DECLARATION).exists():
            write_study(study, given.cells, given.tasks, given.instances)
        results = [measure(study) for _ in range(given.repetitions)]
    best = min(results, key=lambda result: float(str(result["report, seconds"])))
    every = {"every run, seconds": [result["report, seconds"] for result in results]}
    size = {"cells": given.cells, "predictions of a cell": given.instances, "tasks": given.tasks}
    for name, value in (size | best | every).items():
        print(f"{name}: {value}")
    if given.json:
        given.json.write_text(json.dumps(size | best | every, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
