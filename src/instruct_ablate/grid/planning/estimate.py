"""What a cell will take: instances, tokens, steps, disk and time, before it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from instruct_ablate.cell.state.canonical import effective, is_baseline, is_untuned, shown_at_test
from instruct_ablate.configuration.parts import OncePerParts
from instruct_ablate.data.batches import Schedule
from instruct_ablate.disk.score_curve import USUAL, due_steps, sample_size
from instruct_ablate.grid.speeds import Machine, Speed, Speeds, on_one_machine, way_of
from instruct_ablate.grid.token_counts import counted_by, token_counts
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.encodings import encodings
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.template_set import template_names
from instruct_ablate.schema import Config, MethodConfig, TrainerConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.general import general_tasks, read_general
from instruct_ablate.tasks.sampling.budget import hangs_on_seed, sample
from instruct_ablate.tasks.task import Task, TaskCollection

LOOKED_AT = 40  # tasks from which the length of prompts is taken
# Bytes of a checkpoint per trained weight: fp32 masters, and AdamW's two moments (Adafactor's are factored).
BYTES = {"adamw": 12.0, "adafactor": 4.1}
GRADIENT = 4  # bytes of a trained weight's, summed in fp32
AT_ONCE = 3  # checkpoints of a running cell at most: the last two, and the one being written


@dataclass(frozen=True, slots=True)
class Estimate:
    """One cell; `seconds` is None where nothing like it was ever measured."""

    train_instances: int
    train_tokens: int
    steps: int
    test_instances: int  # predictions, those while training included
    checkpoint_bytes: int | None
    seconds: float | None
    test_tasks: int = 0
    task_instances: int = 0  # of a test task, on average
    training_bytes: int | None = None  # weights, gradients and optimiser in memory
    tokens_counted: bool = True  # by the model's own tokenizer, in a sample; else taken from characters
    measured_on: str = ""  # the machine that `seconds` go by
    train_tasks: int = 0  # that the training instances are of


def training_memory(weights: int, trained: int, method: MethodConfig, trainer: TrainerConfig) -> int:
    """Return the bytes of weights, gradients and optimiser while training; activations come on top.

    Weights in fp32 are their own masters; adapters always are, and stand beside all weights.
    """
    narrow = trainer.precision != "fp32"
    held = weights if narrow or method.name == "lora" else weights - trained
    return int(held * (2 if narrow else 4) + trained * (BYTES[trainer.optimizer] + GRADIENT))


class Estimator:
    """Estimates cells, remembering what they share."""

    def __init__(self, measured: Speeds) -> None:
        self._speeds = measured
        self._alike = OncePerParts[Estimate]("seed")
        self._collections: dict[str, TaskCollection] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._lengths: dict[str, tuple[float, bool]] = {}
        self._sizes: dict[str, int | None] = {}

    def estimate(self, config: Config) -> Estimate:
        """Estimate one cell; which tasks are drawn, and so how many instances, can hang on its seed."""
        if hangs_on_seed(config.data_budget):
            return self._estimate(config)
        return self._alike.get(config, self._estimate)

    def _estimate(self, config: Config) -> Estimate:
        config = effective(config)
        collection = self._tasks(config)
        instances = sum(len(task.instances) for task in collection.test)
        size = (len(collection.test), round(instances / max(len(collection.test), 1)))
        tested = len(shown_at_test(config)) * len(template_names(config.prompt)) * instances
        tested += self._general(config)
        if is_baseline(config):
            return Estimate(0, 0, 0, tested, 0, 0.0, *size)
        if is_untuned(config):
            made = Estimate(0, 0, 0, tested, 0, self._seconds(config, 0, tested), *size)
            return replace(made, measured_on=self._measured_on(config, 0))
        (tasks, examples), trainer = self._examples(config, collection), config.trainer
        schedule = Schedule(examples, trainer.batch_size, trainer.epochs, 0, trainer.max_steps)
        steps = schedule.steps
        due = due_steps(config.evaluation, steps, schedule.steps_per_epoch)
        points = len(due) * point_instances(config, collection, steps * trainer.batch_size, len(due))
        # Epochs by examples, not by steps: the last step of one may have fewer than the others.
        seen = steps * trainer.batch_size if trainer.max_steps else examples * trainer.epochs
        length, counted = self._length(config, collection)
        tokens = int(seen * length)
        seconds = self._seconds(config, tokens, tested + points)
        made = Estimate(examples, tokens, steps, tested + points, self._bytes(config), seconds, *size)
        return replace(
            made,
            training_bytes=self._training_bytes(config),
            tokens_counted=counted,
            measured_on=self._measured_on(config, tokens),
            train_tasks=tasks,
        )

    def testing(self, config: Config) -> float | None:
        """Return the seconds that a prediction takes, as in the cell's estimate; None where nothing was measured."""
        shaped = effective(config)
        tokens = 0 if is_untuned(shaped) else 1  # trained: of its own method alone
        # The difference, for a cell's other seconds are in both and fall out.
        two, one = (self._seconds(shaped, tokens, tested) for tested in (2, 1))
        return None if two is None or one is None else two - one

    def _general(self, config: Config) -> int:
        """Count the questions by which general ability is held."""
        given = config.evaluation.general
        if not given:
            return 0
        key = f"{general_tasks(given)}"
        if key not in self._collections:
            self._collections[key] = read_general(given, Path(config.cache))
        return sum(len(task.instances) for task in self._collections[key].test)

    def _tasks(self, config: Config) -> TaskCollection:
        key = str(config.tasks)
        if key not in self._collections:
            self._collections[key] = read_tasks(config.tasks, Path(config.cache))
        return self._collections[key]

    def _examples(self, config: Config, collection: TaskCollection) -> tuple[int, int]:
        """Count the training tasks and instances; which tasks are drawn depends on the seed, how many do not."""
        seed = config.seed if hangs_on_seed(config.data_budget) else 0
        key = f"{config.tasks} {config.data_budget} {seed}"
        if key not in self._counts:
            drawn = sample(collection.train, config.data_budget, seed)
            sizes = [len(task.instances) for task in drawn.tasks if task.instances]
            self._counts[key] = len(sizes), sum(sizes)
        return self._counts[key]

    def _length(self, config: Config, collection: TaskCollection) -> tuple[float, bool]:
        """Return the tokens of an average training example, from a few tasks, and whether they were counted."""
        key = f"{config.tasks} {config.instruction} {config.prompt} {config.data.encodings} {counted_by(config)}"
        if key not in self._lengths:
            chosen = collection.train[:: max(1, len(collection.train) // LOOKED_AT)]
            tasks = [_cut(task) for task in chosen if task.instances]
            self._lengths[key] = _mean_length(tasks, config, collection)
        return self._lengths[key]

    def _bytes(self, config: Config) -> int | None:
        size = self._weights(config, config.method)
        return None if size is None else int(size * BYTES[config.trainer.optimizer])

    def _training_bytes(self, config: Config) -> int | None:
        weights, trained = (self._weights(config, one) for one in (None, config.method))
        if weights is None or trained is None:
            return None
        return training_memory(weights, trained, config.method, config.trainer)

    def _weights(self, config: Config, method: MethodConfig | None) -> int | None:
        """Count the weights that a method trains; without one, all."""
        from instruct_ablate.model.loading.parameter_count import parameters, trainable_parameters

        key, cache = f"{config.model} {method}", Path(config.cache)
        if key not in self._sizes:
            self._sizes[key] = (
                parameters(config.model, cache)
                if method is None
                else trainable_parameters(config.model, method, cache)
            )
        return self._sizes[key]

    def _seconds(self, config: Config, tokens: int, tested: int) -> float | None:
        """Return the time from measured speeds; an untuned cell's from any method of its model."""
        if (found := self._speed(config, tokens)) is None:
            return None
        _, speed = found
        training = tokens * speed.train_seconds / speed.tokens if tokens else 0.0
        return training + tested * speed.test_seconds / speed.instances + speed.other_seconds / speed.cells

    def _speed(self, config: Config, tokens: int) -> tuple[Machine, Speed] | None:
        own = way_of(config) if tokens else None
        return on_one_machine(self._speeds, config.trainer, config.model.name, own)

    def _measured_on(self, config: Config, tokens: int) -> str:
        found = self._speed(config, tokens)
        return "" if found is None else str(found[0])


def point_instances(config: Config, collection: TaskCollection, examples: int, points: int) -> int:
    """Count the predictions of one point while training: of the test's sample, or of each held-out task's."""
    if config.trainer.select != "last":
        most = config.evaluation.at_instances or USUAL
        return sum(min(most, len(task.instances)) for task in collection.validation)
    instances, tests = sum(len(task.instances) for task in collection.test), len(shown_at_test(config))
    size = sample_size(config.evaluation, examples, points * tests, len(collection.test))
    return tests * min(size, instances)


def _cut(task: Task) -> Task:
    return replace(task, instances=tuple(islice(task.instances, 2)))


def _mean_length(tasks: list[Task], config: Config, collection: TaskCollection) -> tuple[float, bool]:
    """Return the tokens of an average prompt of these tasks with its target, and whether a tokenizer counted them."""
    (tokens, counted), context = token_counts(config), Context.of(config, collection, "train")
    prompts = [
        prompt
        for shown in encodings(config.instruction, config.data)
        for prompt in build_prompts(tasks, shown, config.prompt, tokens, context)
    ]
    source, target = config.prompt.max_source_length, config.prompt.max_target_length
    lengths = [
        min(source, tokens.count(p.source)) + min(target, tokens.count_target(p.target)) for p in prompts
    ]
    return sum(lengths) / max(1, len(lengths)), counted
