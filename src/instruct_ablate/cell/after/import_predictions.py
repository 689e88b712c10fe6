"""Predictions made elsewhere (an API model, another cluster) as an evaluated cell, checked against tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from instruct_ablate.baselines import is_baseline_name
from instruct_ablate.cell.after.imported_identity import imported_identity, tested_content
from instruct_ablate.cell.after.prediction_file import Answer, read_answers
from instruct_ablate.cell.after.row_order import Key, by_order_alone, misplaced
from instruct_ablate.cell.state.environment import environment
from instruct_ablate.cell.state.folder_name import file_name
from instruct_ablate.cell.state.lock import locked
from instruct_ablate.cell.state.record.instance_scores import completed
from instruct_ablate.cell.state.record.notes import prediction_notes, prompt_notes
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow, discard, make_row
from instruct_ablate.cell.state.record.record import BlockKey, CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.keys import IMPORTED
from instruct_ablate.cell.state.setting.setting import Axes, setting_of_axes
from instruct_ablate.cell.state.setting.trained_on import NOT_TRAINED
from instruct_ablate.cell.state.store import now, write_record
from instruct_ablate.cost import Cost
from instruct_ablate.errors import UserError, nearest
from instruct_ablate.metrics import BUILT_IN_ALONE, Metric, Scores, Selection, aggregate, score_all
from instruct_ablate.plural import are, counted, have, named, were
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.tasks.languages import word_rules
from instruct_ablate.tasks.task import Instance, Task, TaskCollection, WordRule

_NAMED = 5  # so many instances are named in a message
MISPLACED = "whose prompt holds the input of another row of the task, and not its own"
ROWS = (
    " Ids that were made of rows' places (name-3, a#2) name other rows once the data lie in another order: read the "
    "data in the order that the predictions were made in, or give rows ids of their own."
)
Place = tuple[Task, Instance]


@dataclass(frozen=True, slots=True)
class Source:
    """Where predictions come from: what a table shows of them.

    `tasks` None: the collection's name. `tasks_name` is what tables show instead of it; it does not count.
    """

    model: str
    tasks: str | None = None
    instruction: str = "original"
    data_budget: int = 0
    num_positive: int = 2
    seed: int = 0
    tasks_name: str | None = None

    def __post_init__(self) -> None:
        """Refuse what a table would show as something else, or could not place."""
        if not self.model.strip():
            raise UserError("--model is empty: give the name that tables are to show.")
        if is_baseline_name(self.model) or self.model in NOT_TRAINED:
            raise UserError(
                f"--model {self.model}: tables write ({self.model}) of this tool's own answers, and these would look "
                "like them. Give the name of the model that answered."
            )
        for option, number in (("--budget", self.data_budget), ("--seed", self.seed)):
            if number < 0:
                raise UserError(f"{option} {number} must be at least 0.")


@dataclass(frozen=True, slots=True)
class Imported:
    """Predictions matched with their instances, in the collection's order."""

    rows: tuple[PredictionRow, ...]
    scores: Scores
    notes: tuple[str, ...]
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True)
class Matching:
    """How strictly a file must match the tasks.

    `partial`: missing instances are left out and unknown ones dropped, both said in the notes.
    `own_references`: the file's references count, also for instances of known tasks that the collection does
    not have (another release of the same tasks); only whole tasks can then be missing.
    """

    partial: bool = False
    own_references: bool = False


def import_predictions(
    file: Path,
    collection: TaskCollection,
    matching: Matching = Matching(),
    columns: Mapping[str, str] | None = None,
    metrics: Selection = BUILT_IN_ALONE,
) -> Imported:
    """Match a file's predictions with the test instances, and score them.

    Missing, unknown and double instances are an error that names them; double ones are never guessed about. So are
    those whose prompt is of another row than the one that their id names here.
    """
    known = {(task.name, one.id): (task, one) for task in collection.test for one in task.instances}
    given = read_answers(file, columns, matching.own_references)
    by_key = _keyed([answer for answer in given if answer.text is not None], known)
    double = [key for key, answers in by_key.items() if len(answers) > 1]
    if double:
        raise UserError(_told(file, "more than once", double) + " Keep one prediction for each.")
    answers = {key: answers[0] for key, answers in by_key.items()}
    if matching.own_references:
        known = _with_own_references(answers, known, collection)
    unknown = [key for key in answers if key not in known]
    missing = [key for key in known if key not in answers]
    found = [key for key in known if key in answers]
    if not found or (not matching.partial and (unknown or missing)):
        raise UserError(_mismatch(file, unknown, missing, collection))
    if not matching.own_references and (other := misplaced(answers, known)):
        raise UserError(_told(file, MISPLACED, other) + ROWS)
    rules = word_rules(  # by the references that count
        ((task.name, one.references) for task, one in known.values()),
        {task.name: task.languages for task in collection.test},
    )
    prompts = [_prompt(*known[key], answers[key], rules[key[0]]) for key in found]
    predictions = [
        Prediction(prompt, answers[key].text or "") for key, prompt in zip(found, prompts, strict=True)
    ]
    scores = score_all(predictions, metrics=metrics)
    rows = tuple(make_row(one, score) for one, score in zip(predictions, scores, strict=True))
    notes = (
        *_notes(len(found), len(known), missing, unknown),
        *prompt_notes(prompts),
        *prediction_notes(rows),
    )
    if nulls := sum(answer.text is None for answer in given):
        notes = (*notes, f"{counted(nulls, 'prediction')} {are(nulls)} null: no answers")
    if not matching.own_references and (doubled := by_order_alone(answers, known)):
        notes = (*notes, _by_order(doubled))
    if matching.own_references:
        notes = (*notes, "references are the imported file's own")
    return Imported(rows, aggregate(predictions, scores), notes, metrics.load())


def _with_own_references(
    answers: Mapping[Key, Answer], known: Mapping[Key, Place], collection: TaskCollection
) -> dict[Key, Place]:
    """Return the instances of the file, with its references, and those of tasks that it leaves out whole."""
    tasks = {task.name: task for task in collection.test}
    given = {name for name, _ in answers}
    places = {key: place for key, place in known.items() if key[0] not in given}
    for key, answer in answers.items():
        if key[0] in tasks and answer.references:
            source = known[key][1].input if key in known else ""
            places[key] = (tasks[key[0]], Instance(key[1], source, answer.references))
    return places


def _keyed(answers: Sequence[Answer], known: Mapping[Key, object]) -> dict[Key, list[Answer]]:
    """Group answers by task and instance; a file without tasks is matched by ids that only one task has."""
    count = Counter(instance for _, instance in known)
    task_of = {instance: task for task, instance in known if count[instance] == 1}
    grouped: dict[Key, list[Answer]] = {}
    for answer in answers:
        task = answer.task if answer.task is not None else task_of.get(answer.instance_id, "")
        grouped.setdefault((task, answer.instance_id), []).append(answer)
    return grouped


def _prompt(task: Task, instance: Instance, answer: Answer, rule: WordRule) -> Prompt:
    return Prompt(
        task.name,
        task.category,
        task.kind,
        instance.id,
        answer.prompt,
        instance.references,
        instance.references[0],
        dict(task.answer_choices).get(instance.id, task.label_space),
        word_rule=rule,
    )


def _told(file: Path, what: str, keys: Sequence[Key]) -> str:
    shown = named([f"{task or '(no task)'} {instance}" for task, instance in keys], _NAMED)
    return f"{file}: {counted(len(keys), 'instance')} {what}: {shown}."


def _mismatch(file: Path, unknown: Sequence[Key], missing: Sequence[Key], collection: TaskCollection) -> str:
    parts = []
    if unknown:
        names = [task.name for task in collection.test]
        strange = next((task for task, _ in unknown if task and task not in names), None)
        hint = nearest(strange, names) if strange else ""
        parts.append(_told(file, f"that {collection.name} does not have", unknown) + hint)
    if missing:
        parts.append(_told(file, "without a prediction", missing))
    parts.append(
        "Import with --partial to score those that match, with --own-references if the file brings the "
        "references of another release, or choose other tasks."
    )
    return "\n".join(parts)


def _by_order(doubled: Sequence[Key]) -> str:
    shown = named([f"{task} {instance}" for task, instance in doubled], _NAMED)
    return (
        f"{counted(len(doubled), 'row')} whose id the data repeat {are(len(doubled))} told from the others by order "
        f"alone, for no prompt of the file tells which is which: {shown}"
    )


def _notes(found: int, total: int, missing: Sequence[Key], unknown: Sequence[Key]) -> tuple[str, ...]:
    notes = [f"{found} of {counted(total, 'test instance')} {have(found)} an imported prediction"]
    if missing:
        tasks = sorted({task for task, _ in missing})
        notes.append(
            f"{counted(len(missing), 'instance')} of {counted(len(tasks), 'task')} {are(len(missing))} missing: "
            f"{', '.join(tasks[:_NAMED])}"
        )
    if unknown:
        notes.append(
            f"{counted(len(unknown), 'prediction')} of unknown instances {were(len(unknown))} dropped"
        )
    return tuple(notes)


def write_imported(imported: Imported, source: Source, collection: TaskCollection, study: Path) -> CellRecord:
    """Write an imported cell into a study's folder, as a run cell would lie there; return its record."""
    axes = Axes(
        tasks=source.tasks or collection.name,
        instruction=source.instruction,
        num_positive=source.num_positive,
        data_budget=source.data_budget,
        budget_tasks=None,
        model=source.model,
        method=IMPORTED,
        prompt=IMPORTED,
        decoding=IMPORTED,
        seed=source.seed,
    )
    readable = file_name(f"{source.model}-{IMPORTED}-{source.instruction}")
    identity = imported_identity(imported.rows, axes, collection, study / readable)
    name = f"{readable}-{identity[:8]}"
    file = f"predictions/{file_name(source.instruction)}.jsonl"
    record = CellRecord(
        identity,
        name,
        setting_of_axes(axes, tested_content(imported.rows, collection), source.tasks_name),
        source.seed,
        "done",
        (ScoreBlock(source.instruction, file, imported.scores, key=BlockKey(source.instruction)),),
        Cost(evaluate_instances=len(imported.rows)),
        environment(),
        notes=imported.notes,
        data_hash=collection.content_hash,
        started=now(),
        finished=now(),
    )
    with locked(study / name):
        _write_rows(study / name / file, imported.rows)
        block = completed(study / name, record.blocks[0], imported.rows, imported.metrics)
        record = replace(record, blocks=(block,))
        write_record(study / name, record)
    return record


def _write_rows(path: Path, rows: Sequence[PredictionRow]) -> None:
    discard(path)  # importing the same file again writes the same cell again
    with PredictionWriter(path) as writer:
        for row in rows:
            writer.append(row)
        writer.finish()
