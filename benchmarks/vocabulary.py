"""A large vocabulary: what a training step takes in memory beyond weights, gradients and optimiser.

    python benchmarks/vocabulary.py [--layers N] [--tokens N] [--targets N] [--json FILE]

The same body (Gemma 3 270M's width and layers, random weights, tied embeddings) with 49,152 and with 262,144 words,
gradients summed by autograd and by this package. Each is a process of its own that takes two steps in fp32 on one
sequence; its highest resident memory counts, less what it had before the model and 16 bytes a weight (itself, its
gradient, AdamW's two moments).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from instruct_ablate.data.micro_batch import NO_PARENT, MicroBatch, Packed
from instruct_ablate.model.training.loss import TokenLosses, packed_attention_of
from instruct_ablate.model.training.master_weights import MasterWeights
from instruct_ablate.model.training.optimizer import build_optimizer
from instruct_ablate.schema import TrainerConfig

VOCABULARIES = (49_152, 262_144)
SIDES = ("autograd", "package")


def make_model(vocabulary: int, layers: int) -> Any:
    config = CONFIG_MAPPING["gemma3_text"](
        vocab_size=vocabulary,
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        sliding_window=512,
    )
    return AutoModelForCausalLM.from_config(config)


def make_batch(vocabulary: int, tokens: int, targets: int) -> MicroBatch:
    ids = torch.randint(3, vocabulary, (tokens,))
    packed = Packed(ids, torch.arange(tokens), torch.tensor([0, tokens]).int(), (tokens,), (NO_PARENT,))
    nought = torch.zeros(targets, dtype=torch.int64)
    rows = torch.arange(tokens - targets, tokens)
    return MicroBatch(packed, nought[:1], rows, torch.randint(3, vocabulary, (targets,)), nought, (0,))


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(side: str, vocabulary: int, given: argparse.Namespace) -> dict[str, Any]:
    """Take two steps; the second one has all that a step has."""
    torch.manual_seed(0)
    before = resident()
    model = make_model(vocabulary, given.layers)
    losses = TokenLosses(model)
    weights = MasterWeights(losses.parameters())
    losses.master_of = weights.master_of if side == "package" else losses.master_of
    optimizer = build_optimizer(weights.masters, TrainerConfig())
    batch = make_batch(vocabulary, given.tokens, given.targets)
    size = sum(master.numel() for master in weights.masters)
    with packed_attention_of(model):
        for _ in range(2):
            started = time.process_time()
            for _ in range(2):  # micro-batches
                losses(batch).sum().backward()
            seconds = time.process_time() - started
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    beyond = (resident() - before - 16 * size) / 2**20
    return {"side": side, "vocabulary": vocabulary, "beyond_mib": round(beyond), "seconds": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=18)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--targets", type=int, default=256)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one[0], int(given.one[1]), given)))
        return
    sizes = [f"--{name}={getattr(given, name)}" for name in ("layers", "tokens", "targets")]
    results = []
    for side in SIDES:
        for vocabulary in VOCABULARIES:
            command = [sys.executable, __file__, *sizes, "--one", side, str(vocabulary)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
            one = results[-1]
            print(
                f"{side:9} {vocabulary:8,} words: {one['beyond_mib']:6,} MiB, {one['seconds']} CPU s a step"
            )
        small, large = (one["beyond_mib"] for one in results[-2:])
        print(f"{side:9} ratio {large / small:.2f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
