"""A whole grid, wall clock from cold caches: one `train.py -m` against one script per cell.

    python benchmarks/cells.py [--root DIR] [--definitions ...] [--budgets 1 2] [--seeds 0 1] [--json FILE]
    python benchmarks/cells.py --data shared [--both trainer.batch_size=16]
    python benchmarks/cells.py --method lora --layers top:8 --both trainer.epochs=4 prompt.max_target_length=32

The grid is definitions x budgets x seeds and the untuned model. The peer's script does for one cell what Tk-Instruct's
does: a fresh process reads tasks, tokenises, trains with transformers' `Trainer`, answers with `generate` in batches,
scores with rouge-score; with `--method lora` it trains peft's adapters in the same layers and folds them in before it
answers. Both sides train the same examples in as many steps at the same constant rate, and end answers by the same
tokens; `--both` takes settings for both. Both sides find the model converted; this package's own caches are empty at
the start (the peer, which has none, may read its tasks from a warm one). Products are in bf16 on both sides.

Told beside the times: of how many answers of the peer's trained cells the end came before the greatest length, and the
mean ROUGE-L of all its cells; a grid whose answers run on measures decoding above all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CACHE = Path(".cache").absolute()
Told = dict[str, Any]  # what a cell of the peer's says at its end


def words_of(given: argparse.Namespace, folder: Path, cache: Path) -> list[str]:
    """What both sides are asked for, but for the axes."""
    tasks = ["tasks=natural_instructions", f"tasks.root={given.root}"] if given.root else []
    return [
        *tasks,
        f"tasks.test_tasks={given.test_tasks}",
        f"tasks.test_instances={given.test_instances}",
        f"data_budget.tasks={given.tasks}",
        f"output={folder}",
        f"cache={cache}",
        "logger=none",
        "trainer.progress=false",
        "trainer.schedule=constant",
        *([f"method={given.method}"] if given.method != "full" else []),
        *([f"method.layers={given.layers}"] if given.layers != "all" else []),
        *given.both,
    ]


def own_words(given: argparse.Namespace) -> list[str]:
    """What this package alone is asked for: the peer has no such thing, and trains the same steps."""
    return [*([f"data={given.data}"] if given.data != "packed" else []), *given.override]


def with_model(folder: Path) -> Path:
    """Return a cache that holds the converted model and nothing else."""
    cache = folder / "cache"
    cache.mkdir(parents=True)
    (cache / "models").symlink_to(CACHE / "models")
    return cache


def ours(given: argparse.Namespace, folder: Path) -> list[Told]:
    axes = [
        f"instruction={','.join(given.definitions)}",
        f"data_budget=0,{','.join(map(str, given.budgets))}",
        f"seed={','.join(map(str, given.seeds))}",
    ]
    words = words_of(given, folder, with_model(folder))
    run([str(ROOT / "train.py"), "-m", *axes, *own_words(given), *words])
    return []


def theirs(given: argparse.Namespace, folder: Path) -> list[Told]:
    """Run a process a cell; return what each tells."""
    grid, told = itertools.product(given.definitions, given.budgets, given.seeds), []
    for definition, budget, seed in (("original", 0, 0), *grid):
        axes = [f"instruction={definition}", f"data_budget={budget}", f"seed={seed}"]
        command = [__file__, "--cell", "--peer-batch", str(given.peer_batch)]
        told.append(json.loads(run([*command, *axes, *words_of(given, folder, CACHE)]).splitlines()[-1]))
    return told


def run(command: Sequence[str]) -> str:
    """Run a command of Python's and return what it prints."""
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def cell(words: Sequence[str], peer_batch: int) -> Told:
    """The peer's script: one cell, in this process; return its ROUGE-L, and of how many answers the end came."""
    import torch
    from rouge_score.rouge_scorer import RougeScorer

    from benchmarks import evaluation, training
    from instruct_ablate.configuration.learning_rate import effective_rate
    from instruct_ablate.grid.composing.composer import compose_config
    from instruct_ablate.instruction.context import Context
    from instruct_ablate.model.loading.checkpoint import load_checkpoint
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens
    from instruct_ablate.model.training.lora import adapt
    from instruct_ablate.prompt.build import build_prompts
    from instruct_ablate.tasks.collection import read_tasks
    from instruct_ablate.tasks.sampling.budget import sample

    config = compose_config(words)
    collection = read_tasks(config.tasks, Path(config.cache))
    checkpoint = load_checkpoint(config.model, torch.float32, Path(config.cache))
    tokens = TokenizerTokens(checkpoint.tokenizer)

    def prompts(tasks: Sequence[object], others: Sequence[object]) -> list[object]:
        context = Context(config.seed, tuple(others))
        return list(build_prompts(tasks, config.instruction, config.prompt, tokens, context))

    trains = bool(config.data_budget.instances_per_task)
    if trains:
        chosen = sample(collection.train, config.data_budget, config.seed).tasks
        data = training.data_of(checkpoint, prompts(chosen, collection.train), config)
        given = argparse.Namespace(
            steps=data.steps, peer_batch=peer_batch, batch_size=config.trainer.batch_size, accelerator="cpu"
        )
        rate = effective_rate(config.trainer.learning_rate, config.method)
        if config.method.name == "lora":
            adapted = adapt(checkpoint.model, config.method, config.seed)  # peft's own, in the same layers
            training.peer(replace(checkpoint, model=adapted), data, given, training.Clock("wall"), rate)
            checkpoint = replace(checkpoint, model=adapted.merge_and_unload())
        else:
            training.peer(checkpoint, data, given, training.Clock("wall"), rate)
    checkpoint.model.to(torch.bfloat16).eval()
    tested = prompts(collection.test, collection.test)
    answers = evaluation.plain_generate(checkpoint, tested, config, 16)
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    scores = [
        max(scorer.score(reference, answer)["rougeL"].fmeasure for reference in prompt.references)
        for prompt, answer in zip(tested, answers, strict=True)
    ]
    ended = sum(tokens.count(answer) < config.prompt.max_target_length - 1 for answer in answers)
    return {
        "rougeL": 100 * sum(scores) / len(scores),
        "answers": len(answers),
        "ended": ended,
        "trains": trains,
    }


def measure(given: argparse.Namespace) -> dict[str, object]:
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(given.repetitions):
        for name, side in (("ours", ours), ("peer", theirs)):
            with tempfile.TemporaryDirectory() as folder:
                started, spent = time.perf_counter(), _spent()
                told = side(given, Path(folder) / "study")
                took = _spent() - spent if given.clock == "cpu" else time.perf_counter() - started
            seconds[name].append(round(took, 1))
            print(f"  {name}: {took:.0f} s", flush=True)
    ratios = [peer / mine for mine, peer in zip(seconds["ours"], seconds["peer"], strict=True)]
    cells = len(given.definitions) * len(given.budgets) * len(given.seeds) + 1
    trained = [one for one in told if one["trains"]]
    ended, answers = (sum(one[key] for one in trained) for key in ("ended", "answers"))
    return {
        "cells": cells,
        **seconds,
        "ratios": [round(ratio, 2) for ratio in ratios],
        "peer's rougeL": round(sum(one["rougeL"] for one in told) / len(told), 1),
        "peer's answers that end": f"{ended} of {answers}",
    }


def _spent() -> float:
    """Processor seconds of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root", help="a folder in the Super-NaturalInstructions layout; else the starter tasks"
    )
    parser.add_argument("--definitions", nargs="+", default=["original", "simplified", "no_definition"])
    parser.add_argument("--budgets", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--tasks", type=int, default=16, help="training tasks")
    parser.add_argument("--test-tasks", type=int, default=6)
    parser.add_argument("--test-instances", type=int, default=20)
    parser.add_argument(
        "--peer-batch", type=int, default=4, help="the peer's rows on the device while training"
    )
    parser.add_argument("--method", choices=["full", "lora"], default="full", help="of both sides")
    parser.add_argument("--layers", default="all", help="that are adapted, as top:8, on both sides")
    parser.add_argument("--both", nargs="*", default=[], help="more settings, of both sides")
    parser.add_argument(
        "--data", choices=["packed", "shared"], default="packed", help="of this package: shared beginnings"
    )
    parser.add_argument("--override", nargs="*", default=[], help="more for this package's command line")
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine")
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--cell", action="store_true", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    parser = options()
    given, words = parser.parse_known_args()
    if given.cell:
        print(json.dumps(cell(words, given.peer_batch)))
        return
    if words:
        parser.error(f"unknown: {' '.join(words)}")
    result = measure(given)
    print(json.dumps(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
