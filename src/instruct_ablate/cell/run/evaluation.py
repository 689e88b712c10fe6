"""Testing: predictions written as they come and scored; what is written already is never predicted again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.run.job import Job
from instruct_ablate.cell.state.folder_name import file_name as in_a_path
from instruct_ablate.cell.state.record.instance_scores import completed
from instruct_ablate.cell.state.record.notes import prompt_notes, unmarked_note
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow, discard, make_row, written_rows
from instruct_ablate.cell.state.record.record import GENERAL, GENERAL_FILE, BlockKey, ScoreBlock
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import Context
from instruct_ablate.metrics import Metric, Selection, aggregate, score_prediction, score_predictions
from instruct_ablate.metrics.registry import reading_model
from instruct_ablate.model.decoding.answers.answer_bound import with_task_outputs
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.channel import channel_prompts
from instruct_ablate.prompt.lengths import truncation_note
from instruct_ablate.prompt.prompt import Prediction, Prompt, Tokens
from instruct_ablate.prompt.template_set import template_label
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks.task import Task, TaskCollection

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint


PLACES = "checkpoints/tests"  # where predictions were made, for a cell that goes on elsewhere; gone once it is done


@dataclass(frozen=True, slots=True)
class Tested:
    """One score block, how long it took, what was met, and of how many batches the last answers went on together."""

    block: ScoreBlock
    seconds: float
    instances: int
    notes: tuple[str, ...] = ()
    tails: int = 1


def prompts_at_test(
    config: Config,
    collection: TaskCollection,
    shown: InstructionConfig,
    tokens: Tokens,
    some: Sequence[Task] | None = None,
) -> tuple[Prompt, ...]:
    """Build the prompts of the test tasks under one test-time instruction.

    `some` are those tasks, or instances of them, that are asked for alone: variants borrow from the whole collection
    all the same, so that each prompt is that of the whole test.
    """
    if not any(task.instances for task in collection.test):
        raise UserError("there are no test instances: check tasks.root, tasks.include and tasks.categories")
    context = Context.of(config, collection, "test")
    build = channel_prompts if config.evaluation.decoding == "channel" else build_prompts
    prompts = build(collection.test if some is None else some, shown, config.prompt, tokens, context)
    return with_task_outputs(prompts, collection.test, config.evaluation.answer_slack)


def evaluate(
    job: Job, checkpoint: Checkpoint, label: str, prompts: Sequence[Prompt], template: str = ""
) -> Tested:
    """Predict what is not yet written, score it row by row, and average; the invariants read the file again.

    `template` names it where it is one of several.
    """
    from instruct_ablate.model.decoding.engine_native import together
    from instruct_ablate.model.decoding.settings import check_likelihoods
    from instruct_ablate.model.training.resume.stretches import (
        Stretches,
        here,
        of_unknown_place,
        told_of_tests,
    )

    started, path, name = time.perf_counter(), job.folder / file_name(label, template), named(label, template)
    metrics = selected(job.config).load()
    likely = reading_model(metrics)
    check_likelihoods(job.config.evaluation.engine, likely, job.config.evaluation.decoding)
    rows = {row.key: row for row in _earlier_rows(path, prompts, metrics)}
    finished, met = frozenset(rows), list[str]()
    weight = next(checkpoint.model.parameters())
    place, batches = here(weight.device, weight.dtype), together(checkpoint, job.config, prompts)
    if batches > 1:  # a version that did not moves last bits, and so answers
        company = f"last answers of {batches} batches written together"
        place = replace(place, versions=f"{place.versions}, {company}")
    stretches = Stretches(job.folder / PLACES / path.stem, len(finished), place)
    if len(finished) < len(prompts):
        stretches.write()
    with PredictionWriter(path, tuple(rows.values())) as writer:
        job.heartbeat.progress(f"evaluate {name}", len(finished), len(prompts))
        new = _predicted(job.config, checkpoint, prompts, finished, metrics, met)
        for done, row in enumerate(new, len(finished) + 1):
            writer.append(row)
            rows[row.key] = row
            job.heartbeat.progress(f"evaluate {name}", done, len(prompts))
        writer.finish()
    whole = _complete(rows, prompts)
    block = completed(job.folder, _block(job, label, whole, template), whole, metrics)
    noted = (
        *_notes_of_prompts(prompts, checkpoint, job.config),
        told_of_tests(stretches.before, len(finished), len(prompts), place),
        unmarked_note(
            of_unknown_place(stretches.before, len(finished)), prompts, job.config.evaluation.decoding
        ),
        *met,
    )
    notes = tuple(f"test, {name}: {note}" for note in noted if note)
    return Tested(block, time.perf_counter() - started, len(prompts) - len(finished), notes, batches)


def _predicted(
    config: Config,
    checkpoint: Checkpoint,
    prompts: Sequence[Prompt],
    finished: frozenset[tuple[str, str]],
    metrics: Sequence[Metric],
    met: list[str],
) -> Iterator[PredictionRow]:
    """Yield the rows of prompts that are not finished, scored, as their answers come; `met` is added to."""
    from instruct_ablate.model.decoding.predict import predict

    for prediction in predict(checkpoint, prompts, config, finished, bool(reading_model(metrics)), met):
        prompt, told = prediction.prompt, prediction.likelihoods
        score = score_prediction(
            prediction.text, prompt.references, prompt.choices, metrics, prompt.word_rule, told
        )
        yield make_row(prediction, score, config.evaluation.save_prompts)


def _notes_of_prompts(
    prompts: Sequence[Prompt], checkpoint: Checkpoint, config: Config
) -> Iterator[str | None]:
    """Yield what a reader should know of the prompts, and of how this model answers them."""
    from instruct_ablate.model.decoding.answers.answer_bound import bound_note
    from instruct_ablate.model.decoding.answers.label_check import cut_references_note
    from instruct_ablate.model.decoding.engine_native import way_note
    from instruct_ablate.model.loading.tokenizer import encoding_of

    yield truncation_note(prompts)
    yield cut_references_note(prompts, checkpoint.tokenizer, config.prompt.max_target_length)
    yield bound_note(prompts, encoding_of(checkpoint, config.prompt), config)
    yield from prompt_notes(prompts)
    yield way_note(checkpoint, config)


def _earlier_rows(
    path: Path, prompts: Sequence[Prompt], metrics: Sequence[Metric]
) -> Iterator[PredictionRow]:
    """Yield what is predicted already, scored as the rest will be: not as an earlier version may have done.

    What was predicted under other metrics, without likelihoods that are wanted now, is predicted again; those that are
    not wanted any more are dropped, so that all rows are alike.
    """
    asked, wanted = {_key(prompt): prompt for prompt in prompts}, bool(reading_model(metrics))
    rows = [
        row if wanted else replace(row, likelihoods=None)
        for row in written_rows(path)
        if row.key in asked and (row.likelihoods is not None or not wanted)
    ]
    given = [Prediction(asked[row.key], row.prediction, row.likelihoods) for row in rows]
    for row, score in zip(rows, score_predictions(given, metrics), strict=True):
        yield replace(row, values=score.values, word_rule=asked[row.key].word_rule)


def write_rows(job: Job, label: str, rows: Iterable[PredictionRow], template: str = "") -> ScoreBlock:
    """Write rows that are scored already, and average."""
    path = job.folder / file_name(label, template)
    # A baseline answers all at once: there is nothing to go on from.
    discard(path)
    kept = tuple(rows)
    with PredictionWriter(path) as writer:
        for row in kept:
            writer.append(row)
        writer.finish()
    block = _block(job, label, kept, template)
    return completed(job.folder, block, kept, selected(job.config).load())


def selected(config: Config) -> Selection:
    """Return what a configuration scores by."""
    return Selection(tuple(config.evaluation.metrics), tuple(config.extensions))


def _block(job: Job, label: str, rows: Sequence[PredictionRow], template: str) -> ScoreBlock:
    """Return a cell's block; a template that is not one of several is the configuration's."""
    block = score_block(label, rows, template or template_label(job.config.prompt.template))
    return replace(block, predictions=file_name(label, template))


def score_block(label: str, rows: Sequence[PredictionRow], template: str = "") -> ScoreBlock:
    """Average the rows of one test-time instruction, at the end of training."""
    scores = aggregate([row.to_prediction() for row in rows], [row.score for row in rows])
    return ScoreBlock(label, file_name(label), scores, key=BlockKey(label, template))


def named(label: str, template: str) -> str:
    """Return how notes call a test; one of several templates is named too."""
    return f"{label}, {template}" if template else label


def file_name(label: str, template: str = "") -> str:
    """Return the prediction file of a test-time instruction under one of several templates, in the cell's folder."""
    if label == GENERAL:
        return GENERAL_FILE
    whole = f"{label}--{template}" if template else label
    readable = in_a_path(whole)
    if len(whole) > len(readable):  # names that were cut may begin alike
        readable += f"-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    return f"predictions/{readable}.jsonl"


def _key(prompt: Prompt) -> tuple[str, str]:
    return prompt.task, prompt.instance_id


def _complete(
    by_key: Mapping[tuple[str, str], PredictionRow], prompts: Sequence[Prompt]
) -> tuple[PredictionRow, ...]:
    """Return one row per prompt, in the prompts' order; a missing one is an error."""
    missing = [prompt for prompt in prompts if _key(prompt) not in by_key]
    if missing:
        raise RuntimeError(
            f"{len(missing)} of {len(prompts)} prompts were not answered, first {_key(missing[0])}"
        )
    return tuple(by_key[_key(prompt)] for prompt in prompts)
