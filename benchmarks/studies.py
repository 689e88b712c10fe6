"""A large finished study looked at: `status`, `plan` and `report`, each in a fresh process.

    python benchmarks/studies.py [--cells 2000] [--instances 60] [--tasks 6] [--keep DIR] [--json FILE]

Wall seconds, processor seconds of it and of the processes it starts, and the peak of memory; `--cells 200 --instances
12000 --tasks 119` is the other large kind.

The study is made up to size and written by the package's own writers: four variants, five budgets and the seeds that
make so many cells, the untuned model beside them; a record with scores per task, a learning curve and a prediction
file with prompts for every cell. Answers are drawn so that variants differ as little as they do in such studies.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from instruct_ablate.cell.state.environment import environment
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.instance_scores import completed
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import ScoreBlock
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.cost import Cost
from instruct_ablate.disk.whole_files import write_whole
from instruct_ablate.grid.declaration import Declaration, DeclaredCell, write_declaration
from instruct_ablate.grid.planning.plan import compose_plan
from instruct_ablate.grid.study import DECLARATION
from instruct_ablate.metrics.aggregation import aggregate
from instruct_ablate.scores import Values

VARIANTS = ("original", "simplified", "delusive", "no_definition")
BUDGETS = (1, 2, 4, 8, 10)
CLAIMS = (
    "simplified equals original on exact_match within 3 points",
    "delusive equals original on rougeL within 2 points",
    "original exceeds untuned on rougeL by 5",
)
# What a command's process says of itself last: nothing of a model's side may be loaded.
CHILD = """
import json, resource, sys
from instruct_ablate import command_line
try:
    command_line.main()
except SystemExit as stop:
    assert not stop.code, stop.code
assert "torch" not in sys.modules and "transformers" not in sys.modules
# A report's second process is waited for before it ends, so that its seconds count as this one's.
all_of_it = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
busy = sum(used.ru_utime + used.ru_stime for used in all_of_it)
print(json.dumps([busy, *(used.ru_maxrss / 1024 for used in all_of_it)]))
"""


def plan_words(cells: int) -> tuple[str, ...]:
    """Return the overrides of a grid of at least so many trained cells; the untuned model comes with it."""
    seeds = -(-cells // (len(VARIANTS) * len(BUDGETS)))
    return (
        "model=tiny_llama",
        "logger=none",
        f"instruction={','.join(VARIANTS)}",
        f"data_budget={','.join(map(str, BUDGETS))}",
        f"seed={','.join(map(str, range(seeds)))}",
    )


def rows_of(identity: Identity, tasks: int, instances: int) -> Iterator[PredictionRow]:
    """Draw a cell's answers; how hard a task is and how seeds differ is the same on every call."""
    variant, budget = place(identity)
    draw = random.Random(f"{variant} {budget} {identity.seed}")
    gain = -30.0 if budget == 0 else budget - 2 * VARIANTS.index(variant) + draw.gauss(0, 2)
    eases = [random.Random(task).uniform(0.3, 0.7) + gain / 100 for task in range(tasks)]
    for number in range(instances):
        task = number % tasks
        yield (_classified if task % 2 else _written)(variant, draw, task, number, eases[task])


def place(identity: Identity) -> tuple[str, int]:
    """Return a cell's variant and budget; the untuned model is tested under the original instruction."""
    return str(identity.setting.get("instruction") or "original"), int(
        str(identity.setting.get("data_budget") or 0)
    )


def _classified(variant: str, draw: random.Random, task: int, number: int, ease: float) -> PredictionRow:
    right, known = draw.random() < ease, draw.random() < 0.95
    said = "positive" if right else "negative" if known else "It is not clear which."
    values = (
        ("exact_match", float(right)),
        ("rougeL", float(right)),
        ("format_correctness", float(right or known)),
        ("uniform_guess", 0.5),
    )
    return _row(variant, task, number, said, values)


def _written(variant: str, draw: random.Random, task: int, number: int, ease: float) -> PredictionRow:
    said = " ".join(draw.choices(WORDS, k=12))
    overlap = min(1.0, max(0.0, draw.gauss(ease, 0.2)))
    return _row(variant, task, number, said, (("exact_match", 0.0), ("rougeL", overlap)))


WORDS = tuple(
    f"{start}{end}" for start in ("walk", "nation", "happi", "sing") for end in ("", "s", "ing", "ness")
)


@cache
def _input(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=60))


def _row(variant: str, task: int, number: int, said: str, values: Values) -> PredictionRow:
    text = _input(number)
    return PredictionRow(
        task=f"task{task:04d}_made_up",
        category=f"Category {task % 12}",
        kind="classification" if task % 2 else "generation",
        instance_id=f"task{task:04d}-{number}",
        prompt=f"Definition: {variant} of task {task}. {EXAMPLES}Now complete:\nInput: {text}\nOutput:",
        prediction=said,
        references=("positive",) if task % 2 else (text[:80],),
        choices=("positive", "negative") if task % 2 else None,
        truncated=False,
        values=values,
    )


EXAMPLES = "".join(f"Positive example {n}: {' '.join(WORDS * 2)}\n" for n in (1, 2))


def write_study(folder: Path, cells: int, tasks: int, instances: int) -> None:
    """Write a finished study of so many cells and the untuned one, as if the grid of `plan_words` had run."""
    words = (*plan_words(cells), f"output={folder.parent}", f"study={folder.name}")
    identities = [cell.identity for cell in compose_plan(words).cells]
    trained = [one for one in identities if not one.setting.untuned][:cells]
    declared = []
    for one in (*(one for one in identities if one.setting.untuned), *trained):
        write_cell(folder / one.name, one, tuple(rows_of(one, tasks, instances)))
        declared.append(DeclaredCell(one.hash, one.name, one.setting, one.seed, one.data_hash))
    write_declaration(folder, Declaration(folder.name, tuple(declared), hypotheses=CLAIMS))


def write_cell(folder: Path, identity: Identity, rows: tuple[PredictionRow, ...]) -> None:
    """Write one cell as its runner would."""
    file = "predictions/original.jsonl"
    with PredictionWriter(folder / file) as writer:
        for row in rows:
            writer.append(row)
        writer.finish()
    scores = aggregate([row.to_prediction() for row in rows], [row.score for row in rows])
    curve = "".join(json.dumps({"step": step, "loss": 2 / step}) + "\n" for step in range(1, 200))
    write_whole(folder / "training.jsonl", curve)
    write_whole(folder / "identity.json", identity.to_json())
    block = completed(folder, ScoreBlock("original", file, scores), rows, ())
    made = environment()
    record = missing_record(identity)
    write_record(folder, replace(record, state="done", blocks=(block,), cost=Cost(1.0, 1), environment=made))


def commands(study: Path, cells: int) -> dict[str, list[str]]:
    """Return the commands to look at a study with."""
    words = (*plan_words(cells), f"output={study.parent}", f"study={study.name}")
    return {"status": ["status", str(study)], "plan": ["plan", *words], "report": ["report", str(study)]}


def measure(words: Sequence[str]) -> dict[str, float]:
    """Run a command in a fresh process: its seconds on the wall and of the processor, and its peak memory."""
    started = time.perf_counter()
    command = [sys.executable, "-c", CHILD, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    busy, memory, beside = json.loads(done.stdout.splitlines()[-1])
    return {
        "wall, s": round(seconds, 2),
        "processor, s": round(busy, 2),
        "peak, MiB": round(memory),
        "peak of a process beside, MiB": round(beside),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--instances", type=int, default=60, help="predictions of a cell")
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="put the study here, or take the one that is here")
    parser.add_argument("--json", type=Path, help="write the result here too")
    given = parser.parse_args()
    result: dict[str, object] = {
        "cells": given.cells, "predictions of a cell": given.instances, "tasks": given.tasks
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        study = given.keep or Path(folder) / "large"
        if not (study / DECLARATION).exists():
            write_study(study, given.cells, given.tasks, given.instances)
        for name, words in commands(study, given.cells).items():
            runs = [measure(words) for _ in range(given.repetitions)]
            best = min(runs, key=lambda run: run["processor, s"])
            result[name] = {**best, "every run, processor, s": [run["processor, s"] for run in runs]}
            print(f"{name}: {result[name]}", flush=True)
        page = (study / "report" / "index.html").stat().st_size
    result["page, MB"] = round(page / 1e6, 1)
    print(f"load while measuring: {os.getloadavg()[0]:.1f}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
