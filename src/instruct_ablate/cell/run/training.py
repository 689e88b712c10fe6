"""Training: the budget's sample of the training tasks, prompts under the training instruction, the fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from instruct_ablate.cell.run.job import Job
from instruct_ablate.cell.run.points import missed, plan_points, scored_apart
from instruct_ablate.cell.run.selection import selected_weights, selection_note
from instruct_ablate.cell.state.record.record import Drawn, Selected
from instruct_ablate.configuration.learning_rate import effective_rate, effective_rate_text
from instruct_ablate.cost import Cost
from instruct_ablate.instruction.content import rules_note
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.encodings import encodings
from instruct_ablate.instruction.label import originals
from instruct_ablate.instruction.shortage import shortage_notes
from instruct_ablate.prompt.build import (
    altered_note,
    alternated,
    build_prompts,
    partly_altered,
)
from instruct_ablate.prompt.lengths import truncation_note
from instruct_ablate.prompt.prompt import Prompt, Tokens
from instruct_ablate.schema import Config, InstructionConfig, TrainerConfig
from instruct_ablate.tasks.sampling.budget import check_shots, check_trainable, sample
from instruct_ablate.tasks.task import TaskCollection

if TYPE_CHECKING:
    from instruct_ablate.data.batches import Schedule
    from instruct_ablate.model.loading.checkpoint import Checkpoint
    from instruct_ablate.model.training.resume.stretches import Stretch


@dataclass(frozen=True, slots=True)
class Trained:
    """What training cost, what it was of and what was met, and which weights were chosen, where they were."""

    cost: Cost
    drawn: Drawn
    notes: tuple[str, ...] = ()
    selected: Selected | None = None
    stretches: tuple[Stretch, ...] = ()  # by which processes


def train(job: Job, collection: TaskCollection, checkpoint: Checkpoint) -> Trained:
    """Train the checkpoint in place."""
    from instruct_ablate.cell.run.training_data import task_count, training_data
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens, encoding_of
    from instruct_ablate.model.training.fit import check_trainer, fit
    from instruct_ablate.model.training.packable import as_trained
    from instruct_ablate.model.training.resume.stretches import read_stretches

    started = time.perf_counter()
    check_trainer(job.config)
    config, padded = as_trained(job.config, checkpoint.model)
    tokens = TokenizerTokens.of(checkpoint.tokenizer, config.prompt)

    def make() -> tuple[tuple[Prompt, ...], tuple[str, ...]]:
        return prompts_in_training(config, collection, tokens)

    examples, notes = training_data(config, collection, encoding_of(checkpoint, config.prompt), make)
    notes, drawn = (*notes, *rate_notes(config), *padded), Drawn(task_count(examples), len(examples))
    schedule = _schedule(config.trainer, len(examples))
    points = plan_points(job, collection, checkpoint, tokens, schedule)
    prepared = time.perf_counter() - started
    job.heartbeat.progress("train", 0, schedule.steps)
    cost, met = fit(checkpoint, examples, config, job.folder, job.mirror.loggers(), points)
    notes = (*notes, *met, *scored_apart(job))
    # From the disk: a fit may have gone on in several processes, one after the other.
    by = tuple(read_stretches(job.folder / "checkpoints"))
    cost = replace(cost, prepare_seconds=cost.prepare_seconds + prepared)
    if points is None or points.choice is None:
        return Trained(cost, drawn, (*notes, *missed(job, schedule)), stretches=by)
    if not job.leads:
        return Trained(cost, drawn, notes, stretches=by)
    chosen = selected_weights(config, points.choice, cost.train_steps, schedule.steps)
    return Trained(cost, drawn, (*notes, selection_note(chosen, collection.validation)), chosen, by)


def prompts_in_training(
    config: Config, collection: TaskCollection, tokens: Tokens
) -> tuple[tuple[Prompt, ...], tuple[str, ...]]:
    """Build the prompts of the budget's sample; return them and what was met."""
    budgeted = sample(collection.train, config.data_budget, config.seed)
    check_trainable(budgeted.tasks, config.tasks)
    check_shots(budgeted.tasks, config.tasks, config.data_budget)
    context = Context.of(config, collection, "train")
    prompts = shown_in_training(
        config, lambda one: build_prompts(budgeted.tasks, one, config.prompt, tokens, context)
    )
    known = context.under(config.instruction)
    noted = [
        truncation_note(prompts),
        rules_note(budgeted.tasks, config.instruction.definition, known),
        altered_note(prompts, config.data.altered_share, config.seed),
    ]
    if len(encodings(config.instruction, config.data)) == 1:  # else their numbers are not those configured
        noted += shortage_notes(budgeted.tasks, config.instruction, context, "training")
    return prompts, (*budgeted.notes, *(f"training: {note}" for note in noted if note))


def shown_in_training(
    config: Config, build: Callable[[InstructionConfig], tuple[Prompt, ...]]
) -> tuple[Prompt, ...]:
    """Return one prompt an instance as training shows it: in all encodings, and altered in the share that is asked for.

    `build` makes the prompts of the instances under an instruction.
    """
    each = (encodings(one, config.data) for one in (config.instruction, originals(config.instruction)))
    share = config.data.altered_share
    pairs = zip(*each, strict=True)
    return alternated([partly_altered(build, one, plain, share, config.seed) for one, plain in pairs])


def rate_notes(config: Config) -> tuple[str, ...]:
    """Say at which rate the optimiser runs, where that is not the configured one."""
    rate = config.trainer.learning_rate
    if effective_rate(rate, config.method) == rate:
        return ()
    told = effective_rate_text(rate, config.method.name, config.method.learning_rate_factor)
    return (f"training: learning rate {told}",)


def _schedule(config: TrainerConfig, examples: int) -> Schedule:
    """Return how many steps the fit will take, for those who watch it."""
    from instruct_ablate.data.batches import Schedule

    # Its seed decides the order alone, not the number of steps.
    return Schedule(examples, config.batch_size, config.epochs, 0, config.max_steps)
