"""A small study with a done and an interrupted cell, and what is done with it: without a model, with the real files."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from rich.console import Console

from instruct_ablate.cell.after.rescore import rescore_study
from instruct_ablate.cell.run.evaluation import score_block
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import (
    PredictionRow,
    make_row,
    read_predictions,
    written_rows,
)
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.disk.learning_curve import FILE, append_row, keep_rows
from instruct_ablate.errors import UserError
from instruct_ablate.grid.clean import leftovers
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.launch.slurm_queue import Ticket, write_ticket
from instruct_ablate.grid.status import status_table
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics import Scores, score_all
from instruct_ablate.model.training.resume import training_state
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.report.report import write_report
from instruct_ablate.schema import Config
from tests.damage.damages import Subject
from tests.standins import make_config, replace_inputs, work

ROWS = 8
DONE, OPEN = 0, 1  # seeds of the done and of the interrupted cell


def cell(folder: Path, seed: int) -> Config:
    return make_config(folder, seed=seed, study="study", keep_checkpoints=True)


def stand_in(job: Job) -> Outcome:
    """Train and test as a cell does, with its files; the interrupted cell is killed in its test."""
    state = training_state.latest(job.folder / "checkpoints")
    first = state["step"] if state else 0
    keep_rows(job.folder / FILE, first)
    for step in range(first + 1, ROWS + 1):
        append_row(
            job.folder / FILE, {"step": step, "loss": 1.0 / step, "seconds": 0.1, "tokens_per_second": 9.0}
        )
        training_state.save(job.folder / "checkpoints", {"step": step})
    path = job.folder / "predictions" / "original.jsonl"
    rows = {row.key: row for row in written_rows(path)}
    with PredictionWriter(path) as writer:
        for number in range(ROWS):
            if number == ROWS // 2 and os.environ.get("STANDIN_KILLED"):
                os._exit(9)
            row = row_of(number)
            if row.key not in rows:
                writer.append(row)
                rows[row.key] = row
        writer.finish()
    block = score_block("original", [rows[row_of(number).key] for number in range(ROWS)])
    return replace(work(job), blocks=(block,))


def row_of(number: int) -> PredictionRow:
    labels = ("yes", "no")
    prompt = Prompt("task", "c", "classification", str(number), "in", (labels[number % 2],), "yes", labels)
    prediction = Prediction(prompt, labels[number % 3 % 2])
    return make_row(prediction, score_all([prediction])[0])


def make(folder: Path) -> None:
    """Make the study."""
    configs = [cell(folder, seed) for seed in (DONE, OPEN)]
    declare(folder / "study", [identify(config) for config in configs], configs[0])
    run_cell(configs[DONE], stand_in)
    child = os.fork()
    if child == 0:
        os.environ["STANDIN_KILLED"] = "1"
        run_cell(configs[OPEN], stand_in)
    os.waitpid(child, 0)  # this one: a report's second process may be a child too
    for config in configs:
        write_ticket(folder / "study" / identify(config).name, Ticket("1", 0.0, "log", "local"))


def files(folder: Path) -> Iterator[str]:
    """Name every file of the study."""
    for path in sorted((folder / "study").rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder))


def look(folder: Path) -> str:
    """Read the study in every way there is."""
    console = Console(file=io.StringIO(), width=200)
    console.print(status_table(folder / "study"))
    read_study(folder / "study")
    leftovers(folder / "study")
    return console.file.getvalue()  # type: ignore[attr-defined]


def report(folder: Path) -> None:
    write_report(folder / "study", folder / "report")
    shutil.rmtree(folder / "report")


def rescore(folder: Path) -> None:
    assert all("\n" not in one.left for one in rescore_study(folder / "study"))


LOOKS: dict[str, Callable[[Path], object]] = {"status": look, "rescore": rescore, "report": report}


def finish(folder: Path, seed: int) -> CellRecord:
    """Run a cell to its end."""
    return run_cell(cell(folder, seed), stand_in)


def used(folder: Path, looks: Sequence[str] = tuple(LOOKS)) -> str:
    """Look at the study, finish its cells, look again; say what became of them."""
    for one in looks:
        LOOKS[one](folder)
    ends = [_end(folder, seed) for seed in (DONE, OPEN)]
    look(folder)
    return next((end for end in ends if not end.startswith("healed")), "healed")


def _end(folder: Path, seed: int) -> str:
    try:
        record = finish(folder, seed)
        if record.state != "done":
            reason = record.failure.reason if record.failure else record.state
            return f"refused: {reason}" if "\n" not in reason else f"traceback: {reason}"
        return "healed" if right(folder, record, expected()) else "wrong"
    except UserError as fault:
        return f"refused: {fault}" if "\n" not in str(fault) else f"traceback: {fault}"


@cache
def expected() -> CellRecord:
    """The record of an undisturbed cell."""
    with tempfile.TemporaryDirectory() as place:
        return finish(Path(place), DONE)


def scores(record: CellRecord) -> list[Scores]:
    return [block.scores for block in record.blocks]


def right(folder: Path, record: CellRecord, expected: CellRecord) -> bool:
    """Whether a cell has the scores that it should have, and its predictions."""
    path = folder / "study" / record.name / record.blocks[0].predictions
    rows = sorted(read_predictions(path), key=lambda row: row.key)
    if len(rows) != ROWS and scores(record) == scores(expected):
        (left,) = (one.left for one in rescore_study(folder / "study") if one.name == record.name)
        raise UserError(left)  # its scores are right, and it says what became of its predictions
    return scores(record) == scores(expected) and [row.prediction for row in rows] == [
        row.prediction for row in sorted(map(row_of, range(ROWS)), key=lambda row: row.key)
    ]


SUBJECT = Subject(replace_inputs, make, files, used)
