"""Before a sweep: numbers that the tasks do not come to, each in a line that is logged; they are no fault."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from instruct_ablate.cell.state.canonical import READS_INSTRUCTION, is_baseline
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.shortage import shortage_notes
from instruct_ablate.schema import BudgetConfig, Config, InstructionConfig, TasksConfig
from instruct_ablate.tasks import collection
from instruct_ablate.tasks.sampling import budget
from instruct_ablate.tasks.sampling.selection import unmet_numbers

log = logging.getLogger(__name__)


def tell_few_examples(
    config: Config, trained_on: InstructionConfig | None, shown: tuple[InstructionConfig, ...]
) -> None:
    """Say which tasks have fewer examples or explanations than are to be shown: cells would mix tasks with both.

    Of `config` tasks, model and seed are looked at.
    """
    if is_baseline(config) and config.model.name not in READS_INSTRUCTION:
        return
    read = collection.read_tasks(config.tasks, Path(config.cache))
    notes = []
    if trained_on is not None:
        notes += shortage_notes(read.train, trained_on, Context.of(config, read, "train"), "training")
    for instruction in shown:
        notes += shortage_notes(read.test, instruction, Context.of(config, read, "test"), "test")
    _warn(notes)


def tell_few_tasks(tasks: TasksConfig, cache: Path) -> None:
    """Say which numbers of test tasks the collection does not come to."""
    _warn(unmet_numbers(collection.read_tasks(tasks, cache).notes))


def tell_few_instances_planned(tasks: TasksConfig, cache: Path, given: BudgetConfig) -> None:
    """Say which tasks are short; numbers of tasks and in all a plan's own lines say (`report.rows.budgets`)."""
    notes = budget.unmet(collection.read_tasks(tasks, cache).train, given)
    _warn(note for note in notes if not note.startswith((budget.OF_TASKS, budget.OF_TOTAL)))


def tell_few_instances(tasks: TasksConfig, cache: Path, given: BudgetConfig) -> None:
    """Say what of a budget the training tasks do not come to."""
    _warn(budget.unmet(collection.read_tasks(tasks, cache).train, given))


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        log.warning("%s", note)
