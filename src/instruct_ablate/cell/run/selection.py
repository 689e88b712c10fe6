"""Selection: by which measure a fit's best weights are chosen, on training tasks that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.state.record.record import Selected
from instruct_ablate.disk.score_curve import asks_for_points
from instruct_ablate.errors import UserError
from instruct_ablate.limits import shown
from instruct_ablate.metrics import Measure, find_measure
from instruct_ablate.metrics.registry import built_in
from instruct_ablate.plural import counted
from instruct_ablate.schema import Config, EvaluationConfig, TasksConfig, TrainerConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Task

if TYPE_CHECKING:
    from instruct_ablate.model.training.resume.best_weights import Choice

BEST = "best:"
LONGEST = 100  # characters of a measure's name
READS = ("text", "word_rule", "label_space")  # what a point's predictions say by themselves


def chosen_by(trainer: TrainerConfig) -> Measure | None:
    """Return the measure that weights are chosen by; None where they are the last step's."""
    if trainer.select == "last":
        return None
    name = trainer.select.removeprefix(BEST)
    if name == trainer.select or not name:
        raise UserError(
            f"trainer.select={shown(trainer.select)}: give last, or best:MEASURE, such as best:rougeL, to choose the "
            "weights of the point that scores best on held-out training tasks (tasks.validation)."
        )
    # Cut, so that whatever is given in its place is refused in one short line.
    measure = find_measure(name[:LONGEST])
    names = [one.name for one in built_in() if one.reads in READS and one.name != "uniform_guess"]
    if measure.metric.name not in names:
        raise UserError(
            f"trainer.select={trainer.select}: what chooses weights counts in a cell's identity and is told by the "
            f"predictions of one point; {measure.metric.name} is not so. Choose by one of: {', '.join(names)}."
        )
    return measure


def check_selection(trainer: TrainerConfig, evaluation: EvaluationConfig, tasks: TasksConfig) -> None:
    """Refuse a choice of weights without held-out tasks or points to choose at, and patience without a choice."""
    if chosen_by(trainer) is None:
        if trainer.patience is not None:
            raise UserError(
                f"trainer.patience={shown(trainer.patience)} ends a training whose scores on held-out tasks get no "
                "better: add trainer.select=best:rougeL (or another measure), or leave it out."
            )
        return
    lacking = [] if tasks.validation else ["tasks.validation=4 (training tasks that are held out)"]
    if not asks_for_points(evaluation):
        lacking.append(
            "evaluation.every_epochs=0.25 (or every_steps, or at: when the model is scored on them)"
        )
    if lacking:
        raise UserError(f"trainer.select={trainer.select} needs more: add {' and '.join(lacking)}.")


def check_defined(tasks: TasksConfig, cache: Path, trainer: TrainerConfig) -> None:
    """Refuse a measure that the held-out tasks have no value of."""
    measure, held = chosen_by(trainer), read_tasks(tasks, cache).validation
    if measure is not None and not any(_defined(measure, task) for task in held):
        raise UserError(
            f"trainer.select={trainer.select}: it is of {measure.kind or measure.metric.kinds[0]} tasks, and "
            f"none is among those held out: {', '.join(task.name for task in held[:8])}. Raise tasks.validation, or "
            "choose by rougeL."
        )


def _defined(measure: Measure, task: Task) -> bool:
    return task.kind in measure.metric.kinds and measure.kind in (None, task.kind)


def selected_weights(config: Config, choice: Choice, done: int, steps: int) -> Selected:
    """Return what a record says of the choice, after `done` of `steps` steps."""
    scores = tuple(choice.scores)
    return Selected(config.trainer.select.removeprefix(BEST), choice.best, done, steps, scores)


def selection_note(selected: Selected, held: Sequence[Task]) -> str:
    """Say in a line which weights were chosen."""
    line = (
        f"training: the weights after step {selected.step} of {selected.steps} were chosen, by {selected.measure} on "
        f"{counted(len(held), 'held-out training task')} ({selected.score:.2f})"
    )
    return line + (f"; it was stopped early, after step {selected.done}" if selected.stopped else "")
