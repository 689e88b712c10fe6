"""A hundred cells of LoRA in the top layers (`method.layers=top:8`), extrapolated from a few small ones.

    python benchmarks/hundred.py [--root DIR] [--small 24:24:0 24:24:1 24:60:0 48:60:0] [--length 16] [--json FILE]

A small cell is given as EXAMPLES:PROMPTS:SEED; they run one after the other in this process and one cache, so that
those of one sample, or of the same test prompts, find what an earlier one kept. Processor seconds of this process, of
each part: a trained token, a token of a new sample that the frozen layers compute, a test token read with its batch
in the store or computed, a decoding step as a + b * rows, and all else of a cell, trials included.

The whole cell (`--tasks` x `--instances` training examples, `--test-tasks` x `--test-instances` prompts) is counted:
its tokens, its batches and their rows. Its decoding steps are those that its batches would take with the lengths of
the small cells' answers, drawn at random; an answer that was not ended is counted twice: as long as it was, and as if
it ran on to `prompt.max_target_length`. So two sums are told: the lesser is that of a cell whose sample an earlier
one trained on, too.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarks.hundred_parts import Cell, clocked
from benchmarks.machine import processor
from benchmarks.shapes import CACHE

from instruct_ablate.cell.run import evaluation, runner
from instruct_ablate.data.store import token_store
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.instruction.context import Context
from instruct_ablate.model.decoding import greedy
from instruct_ablate.model.decoding.question import ask
from instruct_ablate.model.decoding.shared_prefix import batches, families
from instruct_ablate.model.loading.checkpoint import load_checkpoint
from instruct_ablate.model.loading.tokenizer import TokenizerTokens, encoding_of
from instruct_ablate.model.state_store import chain
from instruct_ablate.model.training.layers.frozen_layers import CHUNK
from instruct_ablate.model.training.layers.kept_states import tokens_of
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.sampling.budget import sample

GOAL = 8 * 3600 * 2 / 100  # processor seconds a cell: a hundred of them in eight hours of two cores


def words(given: argparse.Namespace, cache: Path) -> list[str]:
    tasks = ["tasks=natural_instructions", f"tasks.root={given.root}"] if given.root else []
    return [
        *tasks, f"model={given.model}", "method=lora", f"method.layers={given.layers}", f"cache={cache}", "logger=none",
        "trainer.progress=false", "trainer.epochs=1", *given.override,
    ]  # fmt: skip


def small(given: argparse.Namespace, folder: Path) -> list[Cell]:
    """Run the small cells and return what they took."""
    found = []
    for name in given.small:
        examples, prompts, seed = map(int, name.split(":"))
        config = compose_config([
            *words(given, folder / "cache"), f"output={folder}", f"study={name.replace(':', '_')}", f"seed={seed}",
            f"data_budget.tasks={max(1, examples // 4)}", f"data_budget.instances_per_task={min(4, examples)}",
            f"tasks.test_tasks={max(1, prompts // 12)}", f"tasks.test_instances={min(12, prompts)}",
            f"prompt.max_target_length={given.length}",
        ])  # fmt: skip
        cell = Cell()
        with clocked(cell):
            record = runner.run_cell(config)
        if record.state != "done":
            sys.exit(f"{name}: {record.state}: {record.failure}")
        found.append(cell)
        print(f"{name}: {json.dumps(told(cell))}", flush=True)
    return found


def told(cell: Cell) -> dict[str, Any]:
    """Say what a cell took, in figures a token."""
    made: dict[str, Any] = {
        f"{name}: s, tokens, ms a token": [round(part[0], 2), part[1], round(1000 * part[0] / part[1], 2)]
        for name in ("trained", "computed", "read", "written")
        if (part := getattr(cell, name))[1]
    }
    ended = sum(end for _, end in cell.answers)
    steps = [len(cell.steps), round(sum(seconds for _, seconds in cell.steps), 2)]
    answers = [len(cell.answers), sum(tokens for tokens, _ in cell.answers), ended]
    seconds = [round(cell.seconds, 1), round(cell.rest, 1)]
    return {**made, "steps, s": steps, "answers, tokens, ended": answers, "s, of these all else": seconds}


def whole(given: argparse.Namespace) -> dict[str, Any]:
    """Count what a cell of the hundred has to do: no model runs."""
    asked = [
        f"data_budget.tasks={given.tasks}", f"data_budget.instances_per_task={given.instances}",
        f"tasks.test_tasks={given.test_tasks}", f"tasks.test_instances={given.test_instances}",
    ]  # fmt: skip
    config = compose_config([*words(given, CACHE), *asked])
    if config.evaluation.decoding != "greedy":
        sys.exit(
            f"evaluation.decoding={config.evaluation.decoding}: what is extrapolated are decoding steps by the lengths "
            "of free answers; leave it at greedy"
        )
    collection = read_tasks(config.tasks, Path(config.cache))
    checkpoint = load_checkpoint(config.model, torch.bfloat16, Path(config.cache))
    tokens = TokenizerTokens.of(checkpoint.tokenizer, config.prompt)
    encoding = encoding_of(checkpoint, config.prompt)
    chosen = sample(collection.train, config.data_budget, config.seed).tasks
    shown = build_prompts(
        chosen, config.instruction, config.prompt, tokens, Context(config.seed, collection.train)
    )
    store = token_store(list(shown), encoding, config.prompt, Path(config.cache))
    sequences = [tokens_of(store, example) for example in range(len(store))]
    chunks = {
        key: min(CHUNK, len(ids) - CHUNK * at)
        for ids in sequences
        for at, key in enumerate(chain(ids, CHUNK))
    }
    tested = evaluation.prompts_at_test(config, collection, config.instruction, tokens)
    questions = ask(tested, encoding, config)
    made = [batch for batch, _ in batches(questions, families(questions), config.evaluation.batch_tokens)]
    return {
        "trained tokens": sum(map(len, sequences)),
        "of these distinct, in chunks": sum(chunks.values()),
        "tokens of test prompts": sum(len(question.ids) for question in questions),
        "read": sum(sum(map(len, b.prefixes)) + sum(len(row.tokens) for row in b.rows) for b in made),
        "rows of batches": [len(batch.rows) for batch in made],
        "longest answer": config.prompt.max_target_length,
    }


def line(cells: Sequence[Cell]) -> tuple[float, float]:
    """Return a step's seconds as a + b * rows, by least squares."""
    every = [step for cell in cells for step in cell.steps]
    rows, seconds = (sum(column) / len(every) for column in zip(*every, strict=True))
    spread = sum((one - rows) ** 2 for one, _ in every)
    slope = sum((one - rows) * (took - seconds) for one, took in every) / spread if spread else 0.0
    return seconds - slope * rows, slope


def steps_of(sizes: Sequence[int], lengths: Sequence[int], seed: int = 0) -> tuple[int, int]:
    """Return how many steps batches of these sizes take, and of how many rows in all, finished rows leaving them."""
    draw, steps, rows = random.Random(seed), 0, 0
    for size in sizes:
        drawn = [draw.choice(lengths) for _ in range(size)]
        held = size
        for step in range(1, max(drawn)):
            live = sum(length > step for length in drawn)
            held = live if live < greedy.KEEP * held else held
            steps, rows = steps + 1, rows + held
    return steps, rows


def extrapolated(cells: Sequence[Cell], counted: dict[str, Any]) -> dict[str, Any]:
    """Return the seconds of a cell of the hundred, from the least to the most."""
    rate = {
        name: sum(getattr(cell, name)[0] for cell in cells)
        / max(1, sum(getattr(cell, name)[1] for cell in cells))
        for name in ("trained", "computed", "read")
    }
    base, slope = line(cells)
    answers = [answer for cell in cells for answer in cell.answers]
    lengths = [tokens for tokens, _ in answers]
    running = [tokens if ended else counted["longest answer"] for tokens, ended in answers]
    writing = []
    for drawn in (lengths, running):
        steps, rows = steps_of(counted["rows of batches"], drawn)
        writing.append(base * steps + slope * rows)
    tested = rate["read"] * counted["read"]
    trained = [rate["trained"] * counted["trained tokens"]] * 2
    trained[1] += (
        rate["computed"] * counted["of these distinct, in chunks"]
    )  # a sample that no cell before it had
    rest = sorted(cell.rest for cell in cells)[len(cells) // 2]
    totals = [trained[at] + tested + writing[at] + rest for at in (0, 1)]
    return {
        "ms a token": {name: round(1000 * value, 2) for name, value in rate.items()},
        "a step, ms": f"{1000 * base:.0f} + {1000 * slope:.2f} a row",
        "training, s": [round(one) for one in trained],
        "reading, s": round(tested),
        "writing, s": [round(one) for one in writing],
        "all else, s": round(rest, 1),
        "a cell, s": [round(one) for one in totals],
        "goal, s": GOAL,
        "a hundred on two cores, h": [round(100 * one / 2 / 3600, 1) for one in totals],
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", help="a checkout of Super-NaturalInstructions; else the starter tasks")
    parser.add_argument("--model", default="smollm2_135m")
    parser.add_argument("--layers", default="top:8")
    parser.add_argument("--small", nargs="+", default=["24:24:0", "24:24:1", "24:60:0", "48:60:0"])
    parser.add_argument("--length", type=int, default=16, help="the longest answer of small cells, in tokens")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--test-tasks", type=int, default=119)
    parser.add_argument("--test-instances", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--override", nargs="*", default=[], help="settings of all cells")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    results: dict[str, Any] = {"machine": {**processor(), "threads": given.threads}}
    print(json.dumps(results["machine"]), flush=True)
    results["counted"] = whole(given)
    print(f"counted: {json.dumps(results['counted'])}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cache").mkdir()
        (folder / "cache" / "models").symlink_to(CACHE.absolute() / "models")
        cells = small(given, folder)
    results |= {
        "small": [told(cell) for cell in cells],
        "extrapolated": extrapolated(cells, results["counted"]),
    }
    print(f"extrapolated: {json.dumps(results['extrapolated'], indent=1)}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
