"""What a cell does: tasks, budget, prompts, training, testing under each instruction, scores.

This is the one place where the towers meet: tasks and prompts on one side, the model on the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.run.evaluation import (
    Tested,
    evaluate,
    named,
    prompts_at_test,
    selected,
    write_rows,
)
from instruct_ablate.cell.run.invariants import check_block, check_inputs, check_weights
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.state.canonical import (
    READS_INSTRUCTION,
    as_general,
    is_baseline,
    is_untuned,
    shown_at_test,
    under_templates,
)
from instruct_ablate.cell.state.environment import environment, gpu_memory, peak_memory
from instruct_ablate.cell.state.identity import weights_fingerprint
from instruct_ablate.cell.state.record.notes import prompt_notes
from instruct_ablate.cell.state.record.predictions import PredictionRow, make_row
from instruct_ablate.cell.state.record.record import GENERAL, Drawn, Environment
from instruct_ablate.cost import Cost
from instruct_ablate.instruction.content import rules_note
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import vary
from instruct_ablate.instruction.shortage import shortage_notes
from instruct_ablate.instruction.shown_answers import shown_answers_note
from instruct_ablate.model.loading.packed_models import model_notes
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.prompt.template_set import content
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.general import read_general
from instruct_ablate.tasks.task import TaskCollection

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint
    from instruct_ablate.model.training.resume.stretches import Stretch


def work(job: Job) -> Outcome:
    """Do all of a cell's work."""
    job.heartbeat.progress("prepare")
    collection = read_tasks(job.config.tasks, Path(job.config.cache))
    general = _general_collection(job.config)
    # Before anything is loaded: files may have been edited since the grid was planned.
    check_inputs(
        job.identity,
        collection.content_hash,
        templates=content(job.config.prompt),
        general=general.content_hash if general else None,
        order=collection.order,
    )
    if is_baseline(job.config):
        return _baseline(job, collection) if job.leads else _outcome([], Cost(), (), environment())
    with _timed() as prepared:
        checkpoint, precision = _load(job)
    # After the weights are read: what changes in their files from now on changes nothing here.
    check_inputs(job.identity, collection.content_hash, weights_fingerprint(job.config))
    notes: tuple[str, ...] = (*model_notes(job.config.model), *collection.notes)
    cost, chosen = Cost(), None
    drawn: Drawn | None = None
    by: tuple[Stretch, ...] = ()
    if not is_untuned(job.config):
        from instruct_ablate.cell.run.training import train

        trained = train(job, collection, checkpoint)
        cost, notes, chosen = trained.cost, notes + trained.notes, trained.selected
        by, drawn = trained.stretches, trained.drawn
    if job.leads:
        check_weights(checkpoint.model, trained=not is_untuned(job.config))
    tested = _tests(job, collection, checkpoint) if job.leads else []
    apart = _general(job, general, checkpoint) if job.leads and general else None
    made, elsewhere = _trained_elsewhere(by, checkpoint, precision)
    if job.leads:  # others ask the model nothing
        made = replace(made, tails=max(one.tails for one in (*tested, *([apart] if apart else []))))
    cost = replace(cost, prepare_seconds=cost.prepare_seconds + prepared[0])
    return replace(
        _outcome(tested, cost, (*notes, *elsewhere), made, apart),
        selected=chosen,
        drawn=drawn,
    )


def _trained_elsewhere(
    by: Sequence[Stretch], checkpoint: Checkpoint, precision: str
) -> tuple[Environment, list[str]]:
    """Return what the tests ran on, with the company it was trained in, and a note where it was trained elsewhere."""
    import torch

    from instruct_ablate.model.processor import device_name
    from instruct_ablate.model.training.resume.stretches import company, here, told

    weight = next(checkpoint.model.parameters())
    made = environment(
        str(weight.device),
        precision,
        parameters=sum(one.numel() for one in checkpoint.model.parameters()),
        fused=company(by),
        processor=device_name(weight.device),
        threads=torch.get_num_threads() if weight.device.type == "cpu" else 0,
    )
    return made, told(by, here(weight.device, weight.dtype))


def _load(job: Job) -> tuple[Checkpoint, str]:
    """Load the checkpoint in the precision meant for this machine."""
    import torch

    from instruct_ablate.data.device import is_on_gpu
    from instruct_ablate.model.loading.checkpoint import check_checkpoint, load_checkpoint
    from instruct_ablate.model.loading.precision import DTYPES, resolve_precision

    trainer, cache = job.config.trainer, Path(job.config.cache)
    is_on_gpu(trainer)  # a GPU that is asked for and not there is told before anything is read
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)
    kind = check_checkpoint(job.config.model)
    precision = resolve_precision(trainer.precision, trainer.accelerator, kind == "encoder-decoder")
    return load_checkpoint(job.config.model, getattr(torch, DTYPES[precision]), cache), precision


def _tests(job: Job, collection: TaskCollection, checkpoint: Checkpoint) -> list[Tested]:
    """Test under each test-time instruction and template."""
    from instruct_ablate.data.device import is_on_gpu
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens

    tokens = TokenizerTokens.of(checkpoint.tokenizer, job.config.prompt)
    if is_on_gpu(job.config.trainer):
        model: Any = checkpoint.model
        model.to("cuda")
    blocks = []
    for label, shown in shown_at_test(job.config):
        context = Context.of(job.config, collection, "test").under(shown)
        noted = (
            rules_note(collection.test, shown.definition, context),
            shown_answers_note(collection.test, shown, context),
            *shortage_notes(collection.test, shown, context, "test"),
        )
        further = [f"test, {label}: {note}" for note in noted if note]
        for template, config in under_templates(job.config):
            own = replace(job, config=config)
            prompts = prompts_at_test(config, collection, shown, tokens)
            tested = _checked(own, evaluate(own, checkpoint, label, prompts, template), prompts, template)
            blocks.append(replace(tested, notes=(*tested.notes, *further)))
    return blocks


def _general_collection(config: Config) -> TaskCollection | None:
    return read_general(config.evaluation.general, Path(config.cache)) if config.evaluation.general else None


def _general(job: Job, collection: TaskCollection, checkpoint: Checkpoint) -> Tested:
    """Hold the cell's general ability: a block beside those of the tests, never one of them."""
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens

    config = as_general(job.config)
    assert config is not None
    own = replace(job, config=config)
    tokens = TokenizerTokens.of(checkpoint.tokenizer, config.prompt)
    prompts = prompts_at_test(config, collection, config.instruction, tokens)
    return _checked(own, evaluate(own, checkpoint, GENERAL, prompts), prompts)


def _checked(job: Job, tested: Tested, prompts: Sequence[Prompt], template: str = "") -> Tested:
    """Hold a block to its invariants, and add what they note."""
    name = named(tested.block.instruction, template)
    return replace(tested, notes=(*tested.notes, *check_block(job.folder, tested.block, prompts, name)))


def _outcome(
    tested: list[Tested],
    cost: Cost,
    notes: tuple[str, ...],
    made: Environment,
    general: Tested | None = None,
) -> Outcome:
    every = [*tested, *([general] if general else [])]
    cost = replace(
        cost,
        evaluate_seconds=sum(block.seconds for block in every),
        evaluate_instances=sum(block.instances for block in every),
        peak_memory=max(cost.peak_memory, peak_memory()),
        gpu_memory=max(cost.gpu_memory, gpu_memory()),
    )
    told = (*notes, *(note for block in every for note in block.notes))
    return Outcome(
        tuple(block.block for block in tested),
        cost,
        made,
        tuple(dict.fromkeys(told)),
        general=general.block if general else None,
    )


def _baseline(job: Job, collection: TaskCollection) -> Outcome:
    """Answer and score without a model."""
    tested = []
    for label, shown in shown_at_test(job.config):
        with _timed() as took:
            prompts = prompts_at_test(job.config, collection, shown, Words())
            block = write_rows(job, label, _answered(job.config, collection, shown, prompts))
        noted: list[str | None] = [*prompt_notes(prompts)]
        if job.config.model.name in READS_INSTRUCTION:
            context = Context.of(job.config, collection, "test")
            noted += [shown_answers_note(collection.test, shown, context)]
            noted += shortage_notes(collection.test, shown, context, "test")
        notes = tuple(f"test, {label}: {note}" for note in noted if note)
        tested.append(_checked(job, Tested(block, took[0], len(prompts), notes), prompts))
    return _outcome(tested, Cost(), collection.notes, environment())


def baseline_rows(
    config: Config, collection: TaskCollection, shown: InstructionConfig
) -> tuple[PredictionRow, ...]:
    """Return a baseline's answers to the test tasks under one test-time instruction."""
    return _answered(config, collection, shown, prompts_at_test(config, collection, shown, Words()))


def _answered(
    config: Config, collection: TaskCollection, shown: InstructionConfig, prompts: Sequence[Prompt]
) -> tuple[PredictionRow, ...]:
    from instruct_ablate.baselines import predict_baseline

    context = Context.of(config, collection, "test")
    tasks = [vary(task, shown, context) for task in collection.test]
    answers = predict_baseline(
        config.model.name, prompts, tasks, config.seed, config.model.tries, selected(config)
    )
    return tuple(
        make_row(prediction, score, config.evaluation.save_prompts, answers.expected)
        for prediction, score in zip(answers.predictions, answers.scores, strict=True)
    )


class Words:
    """`Tokens` for baselines, which have no tokenizer: words, and nothing is ever too long."""

    def count(self, text: str) -> int:
        """Return 0: a baseline reads prompts of any length."""
        return 0

    def clip(self, text: str, limit: int) -> str:
        """Return the text as it is."""
        return text

    def chat(self, text: str) -> str:
        """Return the text as it is."""
        return text


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Measure a block; the seconds are in the list afterwards."""
    took: list[float] = []
    started = time.perf_counter()
    yield took
    took.append(time.perf_counter() - started)
