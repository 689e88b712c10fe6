"""What any exact method must compute for a workload, what this machine attains, and how near this package comes.

    python -m benchmarks limits [--case decoder grouped t5_small t5_large greedy labels t5] [--root DIR] [--count-only]
    python -m benchmarks limits --case grid [--study FOLDER] [--peer-seconds N] --cells --root DIR --method lora ...

The workload is real: prompts of `--root` (Super-NaturalInstructions' layout) or of the starter tasks, so many tasks and
instances, answers as long as they turn out; T5's, whose weights are random, as long as the references. Counted are the
products that no exact method can leave out (benchmarks/counting.py); attained is one large product in the same
precision, the median of several, taken again beside each repetition. A share is the time that the counted arithmetic
would take at that rate, of the time that was taken: the median of the repetitions. Evaluation has a second share
beside: of the time that its passes would take if each multiplied at that rate or read its weights, keys and values at
memory's rate, whichever is longer (benchmarks/passes.py). With `--kernels` the same arithmetic is held against the
rates that this machine's kernels reach at its shapes, too (benchmarks/kernels.py). `grid` counts a grid of cells
(benchmarks/grid_work.py, grid_cells.py); all behind `--cells` is what `cells` takes, which times it. Names of the cases
as in `training` and `evaluation`, whose peers' attention stands beside: transformers' own choice in the version
installed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from benchmarks.counting import Pair, Part, Sizes, Work, apart, forward, parts_of_training, work_of
from benchmarks.kernels import Kernels
from benchmarks.passes import Pass, of_greedy, of_labels, parts_of

from benchmarks import cells, evaluation, grid_cells, machine, training
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding import engine_native
from instruct_ablate.model.decoding.greedy import EarlyStop
from instruct_ablate.model.decoding.question import Question
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config

EVALUATION = ("greedy", "labels", "t5")


def clock_of(given: argparse.Namespace) -> Callable[[], float]:
    return time.process_time if given.clock == "cpu" else time.perf_counter


def of_training(
    checkpoint: Checkpoint, prompts: list[Prompt], config: Config, given: argparse.Namespace
) -> dict[str, Any]:
    """Count and take training steps, the first of which is not counted."""
    data = training.data_of(checkpoint, prompts, config)
    store = data.store
    steps: list[list[Pair]] = [
        [(store.sources[int(one)].tolist(), store.targets[int(one)].tolist()) for one in step]
        for step in data.schedule.order(0)[1 : given.steps]
    ]
    sizes, every = Sizes.of(checkpoint.model.config), [one for step in steps for one in step]
    made = parts_of_training(sizes, steps)
    least = work_of(made)
    described = describe(checkpoint, least, apart(sizes, every).times(3.0)) | {
        "tokens": sum(len(source) + len(target) for source, target in every)  # as `training` counts them
    }
    described |= at_kernels(checkpoint, made, given)
    if given.count_only:
        return described

    def take() -> float:
        clock = training.Clock(given.clock)
        training.ours(checkpoint, prompts, config, clock)
        return clock.ends[given.steps - 1] - clock.ends[0]

    return described | share(checkpoint, least, take, given)


def of_evaluation(
    checkpoint: Checkpoint, prompts: list[Prompt], config: Config, given: argparse.Namespace
) -> dict[str, Any]:
    """Count and take the answers to prompts; without taking them, references stand for answers.

    An encoder-decoder's answers are made as long as the references: random weights would run to the greatest length.
    """
    answers = [prompt.target for prompt in prompts]
    as_long = references_lengths(checkpoint, config) if checkpoint.encoder_decoder else nullcontext()
    read = clock_of(given)

    def take() -> float:
        nonlocal answers
        started = read()
        found = evaluation.ours(checkpoint, prompts, config)
        seconds = read() - started
        answers = answers if checkpoint.encoder_decoder else found
        return seconds

    with as_long:
        if not given.count_only:
            take()  # which tells what the answers are
        pairs = answered(checkpoint, prompts, answers, config)
        sizes = Sizes.of(checkpoint.model.config)
        least = forward(sizes, pairs)
        passes = (of_greedy if config.evaluation.decoding == "greedy" else of_labels)(sizes, pairs)
        described = describe(checkpoint, least, apart(sizes, pairs)) | {"passes": len(passes)}
        described |= at_kernels(checkpoint, parts_of(sizes, pairs, passes), given)
        return described if given.count_only else described | share(checkpoint, least, take, given, passes)


def of_grid(given: argparse.Namespace) -> dict[str, Any]:
    """Count a grid's cells, and say how much faster than the peer's seconds any method could be."""
    asked = cells.options().parse_args(given.cells)
    checkpoint = evaluation.pretrained(torch.bfloat16, run_on=False)
    made, separate = grid_cells.parts_of(checkpoint, asked, given.study)
    return describe(checkpoint, work_of(made), separate) | at_kernels(checkpoint, made, given)


def at_kernels(checkpoint: Checkpoint, made: Sequence[Part], given: argparse.Namespace) -> dict[str, Any]:
    """Say how long the counted arithmetic takes at a large product's rate, and at that of kernels at its shapes."""
    if not given.kernels:
        return {}
    rate = machine.product_rate(checkpoint.model.dtype, size=given.size, clock=clock_of(given))
    kernels = Kernels(checkpoint.model, clock_of(given))
    seconds = {"a large product": work_of(made).total / rate, "its kernels": kernels.seconds(made)}
    told: dict[str, Any] = {
        "a large product's GFLOP/s": round(rate / 1e9, 1),
        "kernels' GFLOP/s": kernels.told(),
        "greatest share at the kernels' rates": round(seconds["a large product"] / seconds["its kernels"], 3),
    }
    for name, least in seconds.items():
        told[f"least seconds at the rate of {name}"] = round(least, 1)
        if given.peer_seconds is not None:
            told[f"greatest ratio at the rate of {name}"] = round(given.peer_seconds / least, 2)
    return told


@contextmanager
def references_lengths(checkpoint: Checkpoint, config: Config) -> Iterator[None]:
    """Let each greedy answer have as many tokens as its prompt's target, its end included, whatever they are."""
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)

    def ends(questions: Sequence[Question], *_: Any) -> EarlyStop:
        targets = [question.prompts[0].target for question in questions]
        wanted = [len(ids) for ids in encoding.targets(targets, config.prompt.max_target_length)[0]]
        return lambda row, tokens: len(tokens) >= wanted[row]

    with (
        patch.object(engine_native, "early_stop", ends),
        patch.object(engine_native, "stop_tokens", lambda *_: frozenset({-1})),
    ):
        yield


def answered(
    checkpoint: Checkpoint, prompts: Sequence[Prompt], answers: Sequence[str], config: Config
) -> list[Pair]:
    """Return what was read and what was predicted behind it: an answer's tokens, or those of every label."""
    encoding = Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder)
    limit = config.prompt.max_target_length
    sources = encoding.sources([prompt.source for prompt in prompts], config.prompt.max_source_length)
    if config.evaluation.decoding == "greedy":
        return list(zip(sources, encoding.targets(answers, limit)[0], strict=True))
    labels = [encoding.targets(prompt.choices or (), limit)[0] for prompt in prompts]
    return [(source, label) for source, some in zip(sources, labels, strict=True) for label in some]


def describe(checkpoint: Checkpoint, least: Work, separate: Work) -> dict[str, Any]:
    """Say what is counted, what sharing prefixes can give at most, and how the peer attends."""
    attention = checkpoint.model.config._attn_implementation
    return {
        "counted GFLOP": round(least.total / 1e9, 1),
        "products, attention, output": [round(part / least.total, 3) for part in parts(least)],
        "without sharing": f"{separate.total / least.total:.2f}x",
        "the peer's attention": f"{attention} of transformers {transformers.__version__}",
    }


def parts(work: Work) -> tuple[float, float, float]:
    return work.products, work.attention, work.output


def share(
    checkpoint: Checkpoint,
    least: Work,
    take: Callable[[], float],
    given: argparse.Namespace,
    passes: Sequence[Pass] = (),
) -> dict[str, Any]:
    """Hold the seconds taken against those that the counted arithmetic takes in one large product beside."""
    dtype, seconds, rates, reads = checkpoint.model.dtype, [], [], []
    for _ in range(given.repetitions):
        seconds.append(take())
        rates.append(machine.product_rate(dtype, size=given.size, clock=clock_of(given)))
        if passes:
            reads.append(
                machine.read_rate(max(one.values for one in passes) * dtype.itemsize, clock_of(given))
            )
    shares = sorted(least.total / rate / taken for rate, taken in zip(rates, seconds, strict=True))
    middle = statistics.median(seconds)
    return {
        "seconds": round(middle, 2),
        "seconds, least and most": [round(min(seconds), 2), round(max(seconds), 2)],
        "attained GFLOP/s": round(least.total / middle / 1e9, 1),
        f"a product's GFLOP/s, {dtype}".replace("torch.", ""): round(statistics.median(rates) / 1e9, 1),
        "share of the limit": round(statistics.median(shares), 3),
        "share, least and most": [round(shares[0], 3), round(shares[-1], 3)],
    } | of_passes(passes, dtype.itemsize, seconds, rates, reads)


def of_passes(
    passes: Sequence[Pass],
    size: int,
    seconds: Sequence[float],
    rates: Sequence[float],
    reads: Sequence[float],
) -> dict[str, Any]:
    """Hold the seconds taken against those of passes that compute or read, the longer of both, `size` bytes a value."""
    if not passes:
        return {}
    shares = sorted(
        sum(one.seconds(rate, read / size) for one in passes) / taken
        for taken, rate, read in zip(seconds, rates, reads, strict=True)
    )
    rate, read = statistics.median(rates), statistics.median(reads)
    return {
        "memory read, GB/s": round(read / 1e9, 1),
        "passes bound by reading": sum(one.bound_by_reading(rate, read / size) for one in passes),
        "share of the limit with reading": round(statistics.median(shares), 3),
        "that share, least and most": [round(shares[0], 3), round(shares[-1], 3)],
    }


def run_case(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Make a case's model and prompts as its benchmark does."""
    if name == "grid":
        return of_grid(given)
    if name not in EVALUATION:
        config = training.make_config(name, given)
        prompts = training.make_prompts(name, given, config)
        checkpoint = training.make_checkpoint(name, given, torch.bfloat16)
        return of_training(checkpoint, prompts, config, given)
    dtype = torch.bfloat16
    checkpoint = evaluation.random_t5(dtype) if name == "t5" else evaluation.pretrained(dtype, run_on=False)
    config = evaluation.make_config(given, "rank" if name == "labels" else "greedy")
    if name == "t5":
        config.prompt.max_target_length = 128  # what references have room for
    prompts = evaluation.make_prompts(given, checkpoint, config)
    if name == "labels":
        prompts = [replace(prompt, choices=evaluation.LABELS) for prompt in prompts]
    return of_evaluation(checkpoint, prompts, config, given)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cases = (*training.CASES, *EVALUATION)
    parser.add_argument("--case", nargs="+", choices=(*cases, "grid"), default=cases)
    parser.add_argument("--root", help="a folder in the Super-NaturalInstructions layout")
    parser.add_argument("--count-only", action="store_true", help="measure nothing")
    parser.add_argument(
        "--kernels", action="store_true", help="take the rates of kernels at these shapes, too"
    )
    parser.add_argument("--peer-seconds", type=float, help="what the peer took for the same work")
    parser.add_argument(
        "--study", type=Path, help="of grid: a finished study of it, whose answers are counted"
    )
    parser.add_argument("--steps", type=int, default=4, help="of training, the first not counted")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--layers", type=int, default=4, help="of t5_large at most")
    parser.add_argument("--micro-batch-tokens", type=int, default=2048)
    parser.add_argument("--tasks", type=int, default=3, help="tested, spread over all by prompt length")
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--size", type=int, default=2048, help="of the large product")
    parser.add_argument("--seed", type=int, default=0, help="of the tasks drawn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine, one thread"
    )
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument(
        "--cells", nargs=argparse.REMAINDER, default=[], help="of grid: options of `cells`, last"
    )
    given = parser.parse_args(arguments)
    given.run_on, given.accelerator = False, "cpu"
    return given


def main() -> None:
    given = options()
    machine.run_cases(given, lambda name: run_case(name, given))


if __name__ == "__main__":
    main()
