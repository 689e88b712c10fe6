"""Steps in random order whose prompts begin alike: `data=shared` against `data=packed`, both sides in turn.

    python -m benchmarks shared [--root DIR] [--tasks 4 16] [--instances 4] [--method lora --layers top:8]

So many tasks, of each so many instances, in steps of `--batch-size`; same examples, same steps, SmolLM2-135M in bf16.
For each number of tasks are told the tokens that all steps of an epoch have, and how many are left to compute where
beginnings are shared; and, of the first `--steps` steps, the time that forward and backward pass take on either side
(the median of repetitions in turn, with the least and the greatest ratio). With `--method lora --layers top:N` what the
frozen layers give is there before, as in a sweep's further cells. `--count-only` measures no time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks import machine, training
from instruct_ablate.data.datamodule import PromptDataModule
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.data.micro_batch import EffectiveBatch
from instruct_ablate.data.store import TokenStore, token_store
from instruct_ablate.instruction.context import Context
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.model.training.kept_fit import kept_states
from instruct_ablate.model.training.loss import packed_attention_of
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.model.training.trainable import make_trainable
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.schema import Config, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Task

SIDES = {"packed": "none", "shared": "prefix"}


def make_config(given: argparse.Namespace, grouping: str, cache: Path) -> Config:
    """What both sides have alike, and how examples are grouped."""
    config = training.make_config("decoder", argparse.Namespace(**{**vars(given), "steps": None}))
    config.data.grouping, config.trainer.max_steps, config.cache = grouping, None, str(cache)
    config.method.name, config.method.layers = given.method, given.layers
    return config


def make_store(
    given: argparse.Namespace, tasks: Sequence[Task], count: int, checkpoint: Any, config: Config
) -> TokenStore:
    """Tokens of `count` tasks' prompts, these drawn at random."""
    drawn = list(tasks)
    random.Random(given.seed).shuffle(drawn)
    few = [replace(task, instances=task.instances[: given.instances]) for task in drawn[:count]]
    tokens = TokenizerTokens(checkpoint.tokenizer)
    prompts = build_prompts(few, config.instruction, config.prompt, tokens, Context(0, tuple(tasks)))
    return token_store(list(prompts), Encoding(checkpoint.tokenizer, False), config.prompt, training.CACHE)


def steps_of(data: PromptDataModule, count: int | None = None) -> list[EffectiveBatch]:
    """The first steps of an epoch, None: all."""
    batches, order = data.batches(), data.schedule.order(0)
    return [batches.batch(step, order) for step in range(len(order) if count is None else count)]


def computed(batches: Sequence[EffectiveBatch]) -> int:
    return sum(part.tokens for batch in batches for part in batch.micro_batches)


@contextmanager
def trained(model: Any, data: PromptDataModule, config: Config) -> Iterator[InstructionModule]:
    """A module that gathers gradients, the frozen layers' states kept by now."""
    module = InstructionModule(model, config.trainer, 10)
    module._trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]
    module.configure_optimizers()
    with packed_attention_of(model), kept_states(model, data, config, []) as kept:
        module.losses.kept = kept
        yield module


def timed(given: argparse.Namespace, model: Any, sides: dict[str, PromptDataModule]) -> dict[str, Any]:
    """Take the first steps of both sides in turn; return their seconds and the ratio."""
    read = time.process_time if given.clock == "cpu" else time.perf_counter
    batches = {name: steps_of(data, given.steps) for name, data in sides.items()}
    # An epoch's examples need not be kept: those of the steps do.
    few = {name: PromptDataModule(data.store, data.config, None) for name, data in sides.items()}
    for data in few.values():
        data.schedule = replace(data.schedule, max_steps=given.steps)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    losses: dict[str, float] = {}
    with trained(model, few["shared"], few["shared"].config) as module:
        for repetition in range(given.repetitions + 1):
            for name in sides:
                started = read()
                losses[name] = sum(module.alone(batch) for batch in batches[name]) / given.steps
                took = read() - started
                module._weights.masters[0].grad = None
                module.zero_grad(set_to_none=True)
                if repetition:  # the first warms up
                    seconds[name].append(took)
    ratios = [one / other for one, other in zip(seconds["packed"], seconds["shared"], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 2),
        "ratio, least and most": [round(min(ratios), 2), round(max(ratios), 2)],
        **{f"{name}, seconds": round(statistics.median(taken), 2) for name, taken in seconds.items()},
        "losses": [round(loss, 4) for loss in losses.values()],
    }


def run_case(given: argparse.Namespace, count: int, tasks: Sequence[Task], cache: Path) -> dict[str, Any]:
    """Count, and take, the steps of so many tasks."""
    checkpoint = training.make_checkpoint("decoder", given, torch.bfloat16)
    configs = {name: make_config(given, grouping, cache) for name, grouping in SIDES.items()}
    store = make_store(given, tasks, count, checkpoint, configs["packed"])
    sides = {name: PromptDataModule(store, config, None) for name, config in configs.items()}
    tokens = {name: computed(steps_of(data)) for name, data in sides.items()}
    told: dict[str, Any] = {
        "examples": len(store),
        "tokens of an epoch": list(tokens.values()),
        "of an epoch": f"{tokens['packed'] / tokens['shared']:.2f}x",
    }
    if given.count_only:
        return told
    first = [computed(steps_of(data, given.steps)) for data in sides.values()]
    told |= {"tokens of the steps": first, "of the steps": f"{first[0] / first[1]:.2f}x"}
    return told | timed(given, make_trainable(checkpoint.model, configs["shared"]), sides)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", help="a folder in the Super-NaturalInstructions layout; else starter tasks")
    parser.add_argument("--tasks", nargs="+", type=int, default=[4, 8, 16], help="a case each")
    parser.add_argument("--instances", type=int, default=4, help="of each task")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1, help="that are taken")
    parser.add_argument("--method", choices=["full", "lora"], default="full")
    parser.add_argument("--layers", default="all", help="that are adapted, as top:8")
    parser.add_argument("--count-only", action="store_true", help="measure no time")
    parser.add_argument("--micro-batch-tokens", type=int, default=Config().trainer.micro_batch_tokens)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the tasks drawn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine")
    parser.add_argument("--json", type=Path, help="write the result here too")
    given = parser.parse_args(arguments)
    given.accelerator, given.case = "cpu", [str(count) for count in given.tasks]
    return given


def main() -> None:
    given = options()
    reader = "natural_instructions" if given.root else "starter"
    collection = read_tasks(TasksConfig(reader=reader, root=given.root), training.CACHE)
    tasks = [task for task in collection.train if len(task.instances) >= given.instances]
    if len(tasks) < max(given.tasks):
        raise SystemExit(
            f"--tasks {max(given.tasks)}: there are {len(tasks)} with {given.instances} instances"
        )
    with tempfile.TemporaryDirectory() as folder:
        machine.run_cases(given, lambda count: run_case(given, int(count), tasks, Path(folder)))


if __name__ == "__main__":
    main()
