"""Cells whose LoRA steps are joined (`hydra/launcher=fused`) against the same cells in turn: seconds and memory.

    python benchmarks/fused.py [--case tiny short full] [--cells 8] [--rounds 3] [--threads 1] [--json FILE]

Each side is a fresh process that takes the same fits, of different seeds, ranks and rates, from one model in memory;
counted are the processor's seconds (user and system) of the fits and the peak of resident memory. Sides alternate.
`tiny`: the tiny model. `short` and `full`: SmolLM2-135M's shape, random weights, bf16; two prompts of some 60 tokens a
step, and eight of some 200, which fill a micro-batch by themselves. A third side is one cell alone, for its memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.machine import run_cases
from benchmarks.shapes import CACHE, make_checkpoint, make_prompts

from instruct_ablate.cell.run.side_by_side import side_by_side
from instruct_ablate.learning_curve import FILE, read_curve
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.model.training.fit import fit
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config, DataConfig, MethodConfig, ModelConfig, PromptConfig, TrainerConfig

# model, examples a step, words of a prompt, steps
CASES = {
    "tiny": ("tiny_llama", 2, 10, 60),
    "short": ("smollm2_135m", 2, 15, 6),
    "full": ("smollm2_135m", 8, 110, 2),
}
SIDES = ("in turn", "fused", "one cell")


def config_of(case: str, cell: int) -> Config:
    name, batch, _, steps = CASES[case]
    trainer = TrainerConfig(
        batch_size=batch, max_steps=steps, epochs=1000.0, accelerator="cpu", progress=False,
        learning_rate=(1e-4, 3e-4)[cell % 2], checkpoint_every_steps=1000,
    )  # fmt: skip
    return Config(
        model=ModelConfig(name=name, source="random"),
        method=MethodConfig(name="lora", rank=(8, 16, 32)[cell % 3]),
        prompt=PromptConfig(template="plain"),
        data=DataConfig(),
        trainer=trainer,
        seed=cell,
        cache=str(CACHE),
    )


def load(config: Config) -> Checkpoint:
    if config.model.name == "tiny_llama":
        return load_checkpoint(config.model, torch.float32, CACHE)
    made = partial(make_checkpoint, config.model.name, torch.bfloat16)
    checkpoint: Checkpoint = SHELF.take(config.model.name, made, lambda _: 0)
    return checkpoint


def prompts_of(case: str, cell: int) -> list[Prompt]:
    _, batch, words, _ = CASES[case]
    return make_prompts(8, max(2, batch), words, seed=cell)


def train(case: str, cell: int, folder: Path) -> None:
    config = config_of(case, cell)
    fit(load(config), prompts_of(case, cell), config, folder / str(cell))


def side(name: str, case: str, cells: int, tokens: int | None) -> dict[str, Any]:
    """Take the fits of one side in this process."""
    SHELF.open()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        train(case, 0, folder / "warm") if case == "tiny" else load(config_of(case, 0))
        wall, started = time.perf_counter(), time.process_time()
        if name == "fused":
            side_by_side({str(cell): partial(train, case, cell, folder) for cell in range(cells)}, tokens)
        else:
            for cell in range(1 if name == "one cell" else cells):
                train(case, cell, folder)
        seconds = time.process_time() - started
        losses = [
            [row["loss"] for row in read_curve(path / FILE)]
            for path in sorted(folder.iterdir())
            if path.name != "warm"
        ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "wall": time.perf_counter() - wall, "peak": peak, "losses": losses}


def measured(given: argparse.Namespace, case: str) -> dict[str, Any]:
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    for _ in range(given.rounds):
        for name in SIDES:
            taken[name].append(_in_process(given, name, case))
    apart = max(
        abs(one - other)
        for mine, own in zip(taken["fused"][0]["losses"], taken["in turn"][0]["losses"], strict=True)
        for one, other in zip(mine, own, strict=True)
    )
    result: dict[str, Any] = {"cells": given.cells, "tokens": given.tokens, "losses apart": apart}
    for name in SIDES:
        seconds = [one["seconds"] for one in taken[name]]
        result[name] = {
            "processor s": round(statistics.median(seconds), 2),
            "spread": [round(min(seconds), 2), round(max(seconds), 2)],
            "peak MiB": round(statistics.median(one["peak"] for one in taken[name])),
        }
    pairs = zip(taken["in turn"], taken["fused"], strict=True)
    result["times"] = round(statistics.median(one["seconds"] / other["seconds"] for one, other in pairs), 2)
    result["memory of one"] = round(result["fused"]["peak MiB"] / result["one cell"]["peak MiB"], 2)
    return result


def _in_process(given: argparse.Namespace, name: str, case: str) -> dict[str, Any]:
    words = ["--side", name, "--case", case, "--cells", str(given.cells), "--threads", str(given.threads)]
    words += ["--tokens", str(given.tokens)] if given.tokens else []
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--tokens", type=int, help="hydra.launcher.tokens")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=SIDES)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.side:
        print(json.dumps(side(given.side, given.case[0], given.cells, given.tokens)))
    else:
        run_cases(given, partial(measured, given))


if __name__ == "__main__":
    main()
