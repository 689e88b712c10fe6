"""LoRA cells as `hydra/launcher=fused` takes them against the same cells in turn: seconds and memory.

    python benchmarks/fused.py [--case tiny short full] [--cells 8] [--rounds 3] [--threads 1] [--json FILE]

Each side is a fresh process that takes the same fits, of different seeds, ranks and rates, from one model in memory;
counted are the processor's seconds (user and system) of the fits and the peak of resident memory. Sides alternate:
`in turn` copies the model for each cell, as `hydra/launcher=basic` does; `shared` takes them in turn over one copy, as
`fused` does on a processor; `joined` joins their steps, as it does with `hydra.launcher.tokens`; `one cell` is the one
of the greatest rank alone, for its memory.
`tiny`: the tiny model. `short` and `full`: SmolLM2-135M's shape, random weights, bf16; two prompts of some 60 tokens a
step, and eight of some 200, which fill a micro-batch by themselves.
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
from contextlib import nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from benchmarks.machine import run_cases
from benchmarks.shapes import CACHE, make_checkpoint, make_prompts

from instruct_ablate.cell.run.side_by_side import side_by_side
from instruct_ablate.disk.learning_curve import FILE, read_curve
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
SIDES = ("in turn", "shared", "joined", "one cell")
RANKS = (8, 16, 32)  # of the cells, one after another


def config_of(case: str, cell: int) -> Config:
    name, batch, _, steps = CASES[case]
    trainer = TrainerConfig(
        batch_size=batch, max_steps=steps, epochs=1000.0, accelerator="cpu", progress=False,
        learning_rate=(1e-4, 3e-4)[cell % 2], checkpoint_every_steps=1000,
    )  # fmt: skip
    return Config(
        model=ModelConfig(name=name, source="random"),
        method=MethodConfig(name="lora", rank=RANKS[cell % len(RANKS)]),
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


def side(name: str, case: str, cells: int, tokens: int) -> dict[str, Any]:
    """Take the fits of one side in this process."""
    SHELF.open()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        train(case, 0, folder / "warm") if case == "tiny" else load(config_of(case, 0))
        wall, started = time.perf_counter(), time.process_time()
        if name == "joined":
            side_by_side({str(cell): partial(train, case, cell, folder) for cell in range(cells)}, tokens)
        else:
            with SHELF.lending() if name == "shared" else nullcontext():
                for cell in [RANKS.index(max(RANKS))] if name == "one cell" else range(cells):
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
    result: dict[str, Any] = {"cells": given.cells, "tokens": given.tokens}
    for name in SIDES:
        seconds = [one["seconds"] for one in taken[name]]
        result[name] = {
            "processor s": round(statistics.median(seconds), 2),
            "spread": [round(min(seconds), 2), round(max(seconds), 2)],
            "peak MiB": round(statistics.median(one["peak"] for one in taken[name])),
        }
    for name in SIDES[1:3]:
        pairs = zip(taken["in turn"], taken[name], strict=True)
        result[name] |= {
            "losses apart": apart(taken[name][0]["losses"], taken["in turn"][0]["losses"]),
            "times": round(statistics.median(one["seconds"] / other["seconds"] for one, other in pairs), 2),
            "memory of one": round(result[name]["peak MiB"] / result["one cell"]["peak MiB"], 2),
        }
    return result


def apart(one: list[list[float]], other: list[list[float]]) -> float:
    """Return how far losses of the same cells and steps lie apart at most."""
    pairs = zip(chain.from_iterable(one), chain.from_iterable(other), strict=True)
    return max(abs(mine - theirs) for mine, theirs in pairs)


def _in_process(given: argparse.Namespace, name: str, case: str) -> dict[str, Any]:
    words = ["--side", name, "--case", case, "--cells", str(given.cells), "--threads", str(given.threads)]
    words += ["--tokens", str(given.tokens)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=2048, help="hydra.launcher.tokens")
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
