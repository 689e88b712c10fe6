"""The rates that this machine's kernels reach at a workload's own shapes: a nearer limit than one large product's rate.

Linear layers are timed with the model's own weights, all of them one after the other, so that none is found in a cache
that a pass would not find it in: forward, and with the gradients that training takes. Attention is timed with the
kernel that this package takes there: PyTorch's in evaluation, blocks of products in training. Rates count what
benchmarks/counting.py counts, so that a causal square's other half is no arithmetic. Rows are rounded up to a power
of two and sequences to whole blocks of 64 tokens, 2,048 of both at most, so that no rate is taken for less than it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.counting import BACK, Part
from benchmarks.machine import median_time
from torch import Tensor, nn

from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.training.layers.cpu_attention import BlockAttention, Plan, blocks

MOST = 2048  # rows of a product, tokens of an attention
BLOCK = 64  # tokens
ENOUGH = 256  # rows from which on no weight's reading is seen, so that a quarter of the weights tells as much


@dataclass
class Kernels:
    """A model's kernels; each rate is taken once."""

    model: Any
    clock: Callable[[], float] = time.perf_counter
    repetitions: int = 3
    _rates: dict[tuple[str, int, str], float] = field(default_factory=dict)

    def seconds(self, parts: Sequence[Part]) -> float:
        """Return what parts take at the rates of products, attention and output layer of their shapes."""
        return sum(
            amount / self.rate(kind, size, part.back)
            for part in parts
            for kind, amount, size in (
                ("products", part.work.products, part.rows),
                ("attention", part.work.attention, part.tokens),
                ("output", part.work.output, part.rows),
            )
            if amount
        )

    def told(self) -> dict[str, float]:
        """Return the rates taken, GFLOP/s."""
        return {
            f"{kind} of {size}" + ("" if back == "none" else f", gradients of {back}"): round(rate / 1e9, 1)
            for (kind, size, back), rate in sorted(self._rates.items())
        }

    def rate(self, kind: str, size: int, back: str = "none") -> float:
        """Return operations a second of products, attention or output with so many rows, or tokens a sequence."""
        size = rounded(kind, size)
        if (kind, size, back) not in self._rates:
            self._rates[kind, size, back] = getattr(self, f"_{kind}")(size, back)
        return self._rates[kind, size, back]

    def _products(self, rows: int, back: str) -> float:
        head = self.model.get_output_embeddings()
        weights = [
            part.weight for part in self.model.modules() if isinstance(part, nn.Linear) and part is not head
        ]
        return self._through(weights if rows < ENOUGH else weights[: -(-len(weights) // 4)], rows, back)

    def _output(self, rows: int, back: str) -> float:
        return self._through([self.model.get_output_embeddings().weight], rows, back)

    def _through(self, weights: Sequence[Tensor], rows: int, back: str) -> float:
        """Multiply states with each weight, and what gradients take, with each once more."""
        dtype = weights[0].dtype
        states = {size: torch.randn(rows, size).to(dtype) for one in weights for size in one.shape}

        def run() -> None:
            for weight in weights:
                given, grown = states[weight.shape[1]], states[weight.shape[0]]
                F.linear(given, weight)
                if back != "none":
                    grown @ weight
                if back == "all":
                    grown.T @ given

        with torch.no_grad():
            taken = median_time(run, "cpu", self.repetitions, self.clock)
        return 2.0 * rows * sum(one.numel() for one in weights) * (1 + BACK.index(back)) / taken

    def _attention(self, tokens: int, back: str) -> float:
        """Let sequences of so many tokens attend, causally where the model's do, until they are 2,048 in all."""
        config = self.model.config
        both_ways = config.is_encoder_decoder
        heads = config.num_attention_heads
        groups = heads if both_ways else config.num_key_value_heads
        dim = config.d_kv if both_ways else getattr(config, "head_dim", None) or config.hidden_size // heads
        times = max(1, MOST // tokens)
        made = partial(torch.randn, dtype=torch.float32)
        query, key, value = (
            made(1, count, tokens, dim).to(self.model.dtype) for count in (heads, groups, groups)
        )
        bias = made(1, heads, tokens, tokens).to(self.model.dtype) if both_ways else None
        run = (
            partial(_read, query, key, value, bias)
            if back == "none"
            else partial(_train, query, key, value, None if bias is None else bias[0])
        )

        def repeated() -> None:
            for _ in range(times):
                run()

        seen = tokens * tokens if both_ways else tokens * (tokens + 1) // 2
        passes = 1 if back == "none" else 3
        return (
            4.0
            * heads
            * dim
            * seen
            * passes
            * times
            / median_time(repeated, "cpu", self.repetitions, self.clock)
        )


@torch.no_grad()
def _read(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> None:
    F.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, is_causal=bias is None, enable_gqa=query.shape[1] != key.shape[1]
    )


def _train(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> None:
    span = (0, query.shape[2])
    plan = Plan(list(blocks(span, [] if bias is None else [span], bias is None)), Scores.of(query, {}))
    given = [one.detach().requires_grad_() for one in (query, key, value)]
    result = BlockAttention.apply(*given, bias, plan)  # type: ignore[no-untyped-call]
    result.backward(torch.ones_like(result))


def rounded(kind: str, size: int) -> int:
    """Return the size at which a rate is taken: at least what is asked for, where that is no more than `MOST`."""
    if kind == "attention":
        return min(MOST, -(-max(1, size) // BLOCK) * BLOCK)
    return min(MOST, 1 << (max(1, size) - 1).bit_length())
