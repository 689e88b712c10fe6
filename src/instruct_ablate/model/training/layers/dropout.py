"""Where a model drops states in training (`trainer.dropout`): its own dropout layers and its attention weights.

Families without dropout layers (LLaMA, Qwen, Mistral) drop what attention and feed-forward layers add to the states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from instruct_ablate.data.micro_batch import MicroBatch, Packed
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import hashed
from instruct_ablate.model.adapters import bare
from instruct_ablate.model.training.layers.dropout_masks import Site, places
from instruct_ablate.model.transformers_internals import replaced

ENCODER, DECODER = 0, 1
BRANCHES = ("self_attn", "mlp")  # how families without dropout layers name what adds to the states
OWN = "lora_dropout"  # of method.dropout


class Dropout:
    """The masks of one fit; `begin` says whose turn it is."""

    def __init__(self, rate: float, seed: int) -> None:
        self.rate = rate
        self.seed = seed
        self._tokens: dict[int, Tensor] = {}
        self._sites: dict[nn.Module, tuple[int, int]] = {}  # its number, and the side whose tokens pass there

    def begin(self, step: int, batch: MicroBatch) -> None:
        """Take the tokens of a micro-batch; its forward and backward pass follow."""
        self.begin_all([(self.seed, step, batch)])

    def begin_all(self, parts: Sequence[tuple[int, int, MicroBatch]]) -> None:
        """Take the tokens of micro-batches that lie end to end, each with the seed and the step of its fit."""
        drawn = [_drawn(*part) for part in parts]
        self._tokens = {side: torch.cat([one[side] for one in drawn]) for side in drawn[0]}

    def at(self, module: nn.Module) -> Site:
        """Return what the tokens draw at a module."""
        number, side = self._sites[module]
        return Site.of(self._tokens[side], number, self.rate)

    @contextmanager
    def within(self, model: Any) -> Iterator[None]:
        """Let `model` drop while this lasts."""
        inner = bare(model)
        seq2seq = inner.config.is_encoder_decoder
        encoder = set(inner.get_encoder().modules()) if seq2seq else set[nn.Module]()
        self._sites = {
            # By name and not by place: adapters that are added between leave a module's draws as they are.
            part: (hashed("site", name), ENCODER if part in encoder else DECODER)
            for name, part in inner.named_modules()
        }
        with ExitStack() as changes:
            layers = [
                part
                for name, part in inner.named_modules()
                if isinstance(part, nn.Dropout) and OWN not in name
            ]
            changes.enter_context(replaced("forward", {part: partial(self._layer, part) for part in layers}))
            for part in _branches(inner) if not layers else ():
                changes.callback(part.register_forward_hook(self._branch).remove)
            yield
        self._sites, self._tokens = {}, {}

    def _layer(self, module: nn.Module, states: Tensor) -> Tensor:
        return self.at(module).states(states)

    def _branch(self, module: nn.Module, _: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (self.at(module).states(output[0]), *output[1:])
        return self.at(module).states(output)


WeightsAt = Callable[[nn.Module], Site]


def _drawn(seed: int, step: int, batch: MicroBatch) -> dict[int, Tensor]:
    """Return each side's tokens as numbers that masks are made of."""
    fit = hashed(seed, "dropout", step)
    sides = {ENCODER: batch.encoder, DECODER: batch.decoder}
    return {
        side: places(_examples(packed, batch), packed.positions, fit, side)
        for side, packed in sides.items()
        if packed is not None
    }


def _examples(packed: Packed, batch: MicroBatch) -> Tensor:
    """Return each token's example."""
    lengths = packed.offsets.diff().to(torch.int64)
    return batch.examples.repeat_interleave(lengths, output_size=packed.total)


def _branches(model: nn.Module) -> list[nn.Module]:
    found = [
        child
        for part in model.modules()
        for name, child in part.named_children()
        if name in BRANCHES and all(hasattr(part, other) for other in BRANCHES)
    ]
    if not found:
        raise UserError(
            f"trainer.dropout: {type(model).__name__} has neither dropout layers nor layers with "
            f"{' and '.join(BRANCHES)}: leave it at 0."
        )
    return found
