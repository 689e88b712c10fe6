"""Scores while training: which test instances, after which steps, and where they are written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.mirror.loggers import guarded
from instruct_ablate.cell.mirror.score_keys import named_values
from instruct_ablate.cell.run.evaluation import prompts_at_test, selected
from instruct_ablate.cell.run.job import Job
from instruct_ablate.cell.run.selection import chosen_by
from instruct_ablate.cell.state.canonical import is_untuned, shown_at_test, under_templates
from instruct_ablate.cell.state.record.record import SCORING, scored_with
from instruct_ablate.disk.score_curve import (
    FILE,
    HELD_OUT,
    LOGGED,
    USUAL,
    Point,
    add_points,
    asks_for_points,
    due_steps,
    lacks_points,
    read_points,
    sample_size,
    scored_by_text,
)
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.label import originals
from instruct_ablate.metrics import Metric, aggregate, score_predictions
from instruct_ablate.metrics.registry import reading_model
from instruct_ablate.model.decoding.answers.answer_bound import with_task_outputs
from instruct_ablate.prompt.build import build_prompts, partly_altered
from instruct_ablate.prompt.channel import channel_prompts
from instruct_ablate.prompt.prompt import Prompt, Tokens
from instruct_ablate.prompt.template_set import trained_under
from instruct_ablate.schema import Config
from instruct_ablate.tasks.task import Task, TaskCollection

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from instruct_ablate.data.batches import Schedule
    from instruct_ablate.model.loading.checkpoint import Checkpoint
    from instruct_ablate.model.training.resume.points import Plan


@dataclass(frozen=True)
class Sample:
    """The prompts of one test-time instruction that a model is tested on while it trains."""

    tested: str
    prompts: tuple[Prompt, ...]

    @property
    def hash(self) -> str:
        """What tells this sample from others, and its prompts from those that earlier versions made of it."""
        keys = f"{PROMPTS}\n" + "\n".join(f"{one.task}\t{one.instance_id}" for one in self.prompts)
        return hashlib.sha256(keys.encode()).hexdigest()[:8]


PROMPTS = 2  # raise it when a sample's prompts would be others: a curve is no mean of both

WITHOUT_POINTS = (
    "done without the scores that evaluation.at, every_steps or every_epochs ask for: these are taken while training, "
    "and what is done is not trained again. To get them run the same command with another study=NAME: it trains to the "
    "same weights."
)


def is_without_points(config: Config, folder: Path) -> bool:
    """Whether a cell that is done lacks scores while training that are asked for; an untuned model has none."""
    whole = (
        config.trainer.select == "last"
    )  # points that weights are chosen by are there, as far as it was trained
    return whole and not is_untuned(config) and lacks_points(config.evaluation, folder)


def plan_points(
    job: Job, collection: TaskCollection, checkpoint: Checkpoint, tokens: Tokens, schedule: Schedule
) -> Plan | None:
    """Return what a fit needs to have the model tested on its way; None where nobody asks for it."""
    from instruct_ablate.model.training.resume.best_weights import Choice
    from instruct_ablate.model.training.resume.points import Plan

    measure = chosen_by(job.config.trainer)
    # Who only trains along tests nothing; where weights are chosen it has to hear when training stops.
    if not asks_for_points(job.config.evaluation) or not (job.leads or measure):
        return None
    due = due_steps(job.config.evaluation, schedule.steps, schedule.steps_per_epoch)
    choice = Choice(measure.metric.higher_is_better, job.config.trainer.patience) if measure else None
    if measure is None:
        tests = len(due) * len(shown_at_test(job.config))
        examples, tasks = schedule.steps * schedule.batch_size, len(collection.test)
        size = sample_size(job.config.evaluation, examples, tests, tasks)
        samples = tuple(samples_at_test(job, collection, tokens, size))
    else:
        samples = tuple(samples_held_out(job, collection, tokens))
    test = Test(job, checkpoint, samples, selected(job.config).load(), schedule.steps, job.mirror.loggers())
    return Plan(due, test.take, choice, measure.name if measure else "")


def samples_held_out(job: Job, collection: TaskCollection, tokens: Tokens) -> Iterator[Sample]:
    """Yield the sample of the held-out training tasks, as training shows them; no test task is looked at."""
    config = job.config
    tasks = [
        one
        for task in collection.validation
        for one in sampled((task,), config.evaluation.at_instances or USUAL)
    ]
    context = Context.of(config, collection, "validation")
    channel = config.evaluation.decoding == "channel"
    prompt = trained_under(config.prompt)[0] if channel else config.prompt
    build = channel_prompts if channel else build_prompts
    prompts = partly_altered(
        lambda one: build(tasks, one, prompt, tokens, context),
        config.instruction,
        originals(config.instruction),
        config.data.altered_share,
        config.seed,
    )
    yield Sample(HELD_OUT, with_task_outputs(prompts, collection.validation, config.evaluation.answer_slack))


def samples_at_test(job: Job, collection: TaskCollection, tokens: Tokens, size: int) -> Iterator[Sample]:
    """Yield the sample under each test-time instruction; its prompts are those of the test at the end.

    Of several templates the first alone is taken: points are to watch a training, and cost time while it waits.
    """
    chosen = sampled(collection.test, size)
    _, config = under_templates(job.config)[0]
    for label, shown in shown_at_test(job.config):
        yield Sample(label, prompts_at_test(config, collection, shown, tokens, chosen))


def sampled(tasks: Sequence[Task], count: int) -> tuple[Task, ...]:
    """Return the test tasks with `count` instances in all, as evenly as there are; always the same ones.

    Their order is by hashes of their names, so that it depends neither on a seed nor on what else is tested.
    """
    ranked = []
    for task in tasks:
        inside = sorted(task.instances, key=lambda one: _hash(f"{task.name}\t{one.id}"))
        ranked += [(place, _hash(task.name), task.name, one.id) for place, one in enumerate(inside)]
    chosen = {(name, own) for _, _, name, own in sorted(ranked)[:count]}
    kept = (task.only([one for one in task.instances if (task.name, one.id) in chosen]) for task in tasks)
    return tuple(task for task in kept if task.instances)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Test:
    """Tests a model between two steps of its training."""

    __test__ = False  # to pytest it is none
    job: Job
    checkpoint: Checkpoint
    samples: Sequence[Sample]
    metrics: Sequence[Metric]
    steps: int
    loggers: Sequence[Logger]

    def take(self, step: int) -> dict[str, float]:
        """Predict and score each sample, write the points down and mirror them; return the first one's values.

        Their names are not those of the whole test ("eval/..."): they are means over a sample.
        """
        points = [self._point(sample, step) for sample in self.samples]
        add_points(self.job.folder / FILE, points)
        values = {f"{LOGGED}{one.tested}/{name}": value for one in points for name, value in one.values}
        for logger in self.loggers:
            with guarded("scores while training"):
                logger.log_metrics(values, step=step)
        return dict(points[0].values) if points else {}

    def _point(self, sample: Sample, step: int) -> Point:
        from instruct_ablate.model.decoding.predict import predict

        started = time.perf_counter()
        likely = bool(reading_model(self.metrics))
        predictions = list(predict(self.checkpoint, sample.prompts, self.job.config, frozenset(), likely))
        scores = aggregate(predictions, score_predictions(predictions, self.metrics))
        values = tuple(named_values(scores).items())
        seconds = round(time.perf_counter() - started, 3)
        scored = scored_with(SCORING, (one for one in self.metrics if not one.is_built_in))
        return Point(step, self.steps, sample.tested, len(predictions), sample.hash, seconds, values, scored)


def missed(job: Job, schedule: Schedule) -> tuple[str, ...]:
    """Say which points a trained cell lacks: it had passed them when they were asked for."""
    due = due_steps(job.config.evaluation, schedule.steps, schedule.steps_per_epoch)
    lacking = sorted({*due} - {one.step for one in read_points(job.folder / FILE)})
    if not lacking or not job.leads:
        return ()
    steps = ", ".join(map(str, lacking[:8])) + (", ..." if len(lacking) > 8 else "")
    return (f"training: no scores after step {steps}: the cell had passed it when they were asked for",)


def scored_apart(job: Job) -> tuple[str, ...]:
    """Say where a fit went on under other scoring rules: its points cannot be scored again, nor a choice made anew."""
    points = read_points(job.folder / FILE)
    if not job.leads or len({one.scored for one in points}) < 2:
        return ()
    chosen = ", and the weights were chosen by them all the same" if chosen_by(job.config.trainer) else ""
    return (f"training: scores on the way were not all made alike: {scored_by_text(points)}{chosen}",)
