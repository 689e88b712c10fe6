"""The layers of a decoder below all that learns: their outputs, in pieces that depend on nothing but their own tokens.

A sequence is cut into chunks of `CHUNK` tokens, and each chunk is computed alone, behind the keys and values of those
before it. So a token's states are the same bits whatever stands beside it in a batch, and sequences that begin alike
share the chunks of their beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.data.micro_batch import NO_PARENT, Packed
from instruct_ablate.errors import UserError
from instruct_ablate.model.adapters import bare, decoder_layers
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.lower_layers import LowerLayers
from instruct_ablate.model.training.layers.decoder_attention import PackedLayout
from instruct_ablate.model.training.layers.dropout_masks import Site

CHUNK = (
    128  # tokens: of 64, products take half as long again a token; of 256, real prompts share half as much
)
Pairs = tuple[tuple[Tensor, Tensor], ...]  # of each layer keys and values, (1, heads, tokens, dim)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the frozen layers make of a chunk: states (tokens, width), and what the next chunk sees of it."""

    states: Tensor
    pairs: Pairs


class FrozenLayers(LowerLayers):
    """The layers of a decoder below all that learns; `chunk` and `giving` work within `packed_attention_of`."""

    @classmethod
    def of(cls, model: Any) -> FrozenLayers | None:
        """Return the layers below all that learns; None where there are none, or something learns below them."""
        inner = bare(model)
        if inner.config.is_encoder_decoder:
            return None
        try:
            layers = list(decoder_layers(inner).values())
        except UserError:
            return None
        count = next((at for at, layer in enumerate(layers) if _learns(layer)), len(layers))
        # States are caught where the next layer takes them: one has to stand above.
        count = min(count, len(layers) - 1)
        if count < 1:
            return None
        found = cls(model, count)
        return None if any(weight.requires_grad for _, weight in found.weights()) else found

    @torch.no_grad()
    def chunk(self, ids: Tensor, before: Sequence[Pairs]) -> Chunk:
        """Compute the chunk of tokens `ids` that stands behind those whose `before` is given."""
        layout = _Behind(ids, before)
        found: list[Tensor] = []

        def stop(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            found.append(given[0] if given else named["hidden_states"])
            raise _Reached

        hook = self.above.register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self.stack(
                input_ids=ids[None], position_ids=layout.positions[None], use_cache=False, packed=layout
            )
        except _Reached:
            pass
        finally:
            hook.remove()
        # Calls are counted as layers: one that attends twice would shift the keys of all behind it.
        if len(layout.own) != self.count:
            raise ValueError(f"{self.count} layers attended {len(layout.own)} times")
        return Chunk(found[0][0], tuple(layout.own))


class _Reached(Exception):  # noqa: N818 - no error
    """The layers wanted have run: those above need not."""


class _Behind(PackedLayout):
    """One chunk behind others: each layer's queries see the keys of all."""

    def __init__(self, ids: Tensor, before: Sequence[Pairs]) -> None:
        start = sum(pairs[0][0].shape[2] for pairs in before)
        end = start + len(ids)
        self.positions = torch.arange(start, end)
        offsets = torch.tensor([0, end], dtype=torch.int32)
        whole = Packed(torch.zeros(end, dtype=torch.int64), torch.arange(end), offsets, (end,), (NO_PARENT,))
        # The chunk brings its own queries alone, which a layout knows as the tokens wanted of a whole.
        super().__init__(whole, wanted=self.positions)
        self.before = before
        self.own: list[tuple[Tensor, Tensor]] = []

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scores: Scores, site: Site | None = None
    ) -> Tensor:
        """Return the chunk's attention; its keys and values are noted, a layer a call."""
        layer = len(self.own)
        self.own.append((key, value))
        pairs = [pairs[layer] for pairs in self.before]
        keys, values = (
            torch.cat([*(pair[part] for pair in pairs), own], 2) for part, own in enumerate((key, value))
        )
        return super().attend(query, keys, values, scores, site)


def _learns(layer: Any) -> bool:
    return any(weight.requires_grad for weight in layer.parameters())
