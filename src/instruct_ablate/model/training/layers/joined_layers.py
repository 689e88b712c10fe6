"""The layers of a model that reads the tokens of several cells at once, and how these are laid end to end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from instruct_ablate.data.micro_batch import NO_PARENT, MicroBatch, Packed
from instruct_ablate.model.families import T5_LIKE
from instruct_ablate.model.training.layers.adapted_layers import is_plain, with_adapters
from instruct_ablate.process.turns import Turn

ENCODER, DECODER = "encoder", "decoder"
NOT_SHARED = "its model does not share its weights"
# Devices on which the adapters of all cells are applied at once: there calls are what takes time.
BATCHED = ("cuda",)


class Passing:
    """Whose tokens pass through the joined model; set for the time of one forward and backward pass."""

    def __init__(self) -> None:
        self.cells: list[Turn] = []
        self._lengths: dict[str, dict[int, list[int]]] = {}
        self._beside: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    @contextmanager
    def of(
        self, cells: Sequence[Turn], parts: Sequence[MicroBatch], wanted: Sequence[int] | None
    ) -> Iterator[None]:
        """Tell the layers whose tokens come, part after part; `wanted`: how many of each the last one takes."""
        self.cells = list(cells)
        decoder = [part.decoder.total for part in parts]
        self._lengths = {DECODER: {sum(decoder): decoder}}
        if wanted is not None:
            # A layer tells by its number of rows which it is given; where all are wanted both are the same.
            self._lengths[DECODER].setdefault(sum(wanted), list(wanted))
        if encoder := [part.encoder.total for part in parts if part.encoder is not None]:
            self._lengths[ENCODER] = {sum(encoder): encoder}
        try:
            yield
        finally:
            self.cells, self._lengths = [], {}
            self._beside = {}

    def beside(self, lengths: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return which token stands at each place of the parts laid side by side (-1: none), and each token's place."""
        key = tuple(lengths)
        if key not in self._beside:
            rows = torch.arange(max(key)).expand(len(key), -1)
            own = rows < torch.tensor(key)[:, None]
            there = torch.full(own.shape, -1)
            there[own] = torch.arange(sum(key))
            self._beside[key] = there.flatten().to(device), own.flatten().nonzero()[:, 0].to(device)
        return self._beside[key]

    def lengths(self, side: str, rows: int) -> list[int]:
        """Return how many of a layer's rows are each part's."""
        known = self._lengths[side]
        if rows not in known:
            raise ValueError(f"a layer was given {rows} tokens of {', '.join(map(str, known))}")
        return known[rows]

    def apart(self, function: Callable[[Tensor], Tensor], side: str, states: Tensor) -> Tensor:
        """Apply a norm to each part's tokens by themselves, (1, tokens, ...) or heads (1, heads, tokens, dim)."""
        if not self.cells:
            return function(states)
        # As many heads as tokens: cut either way each row has its norm.
        along = 1 if states.shape[1] in self._lengths[side] else -2
        pieces = torch.split(states, self.lengths(side, states.shape[along]), along)
        return torch.cat([function(piece) for piece in pieces], along)


class JoinedLinear(nn.Linear):
    """A frozen linear layer that adds to each cell's tokens what that cell's adapter gives."""

    passing: Passing
    side: str
    adapters: dict[Turn, Any]

    def forward(self, states: Tensor) -> Tensor:
        """Return (..., out) of (..., in), as each cell's own layer does in its steps: of (1, tokens) or of (tokens)."""
        cells = self.passing.cells
        if not any(cell in self.adapters for cell in cells):
            return super().forward(states)
        lengths = self.passing.lengths(self.side, states.shape[:-1].numel())
        layers = list(zip(lengths, map(self.adapters.get, cells), strict=True))
        if states.device.type in BATCHED and all(cell in self.adapters for cell in cells):
            return with_adapters(self, states, layers, self.passing.beside(lengths, states.device))
        return with_adapters(self, states, layers)


def as_joined(part: nn.Linear, passing: Passing, side: str) -> JoinedLinear:
    """Make a frozen layer one of several cells, in place."""
    part.__class__ = JoinedLinear  # its weights, hooks and settings stay
    assert isinstance(part, JoinedLinear)
    part.passing, part.side, part.adapters = passing, side, {}
    return part


def side_of(model: Any, name: str) -> str:
    """Say whose tokens a layer reads: cross-attention's keys and values are the encoder's."""
    if not model.config.is_encoder_decoder:
        return DECODER
    crossing = name.endswith(("EncDecAttention.k", "EncDecAttention.v"))
    return ENCODER if name.startswith("encoder.") or crossing else DECODER


def joined_batch(parts: Sequence[MicroBatch]) -> MicroBatch:
    """Lay micro-batches end to end."""
    lengths = [part.decoder.total for part in parts]
    encoders = [part.encoder for part in parts if part.encoder is not None]
    return MicroBatch(
        decoder=_end_to_end([part.decoder for part in parts]),
        examples=torch.cat([part.examples for part in parts]),
        rows=torch.cat(shifted([part.rows for part in parts], lengths)),
        labels=torch.cat([part.labels for part in parts]),
        owners=torch.cat([part.owners for part in parts]),
        decoder_owners=tuple(itertools.chain.from_iterable(part.decoder_owners for part in parts)),
        encoder=_end_to_end(encoders) if encoders else None,
    )


def _end_to_end(parts: Sequence[Packed]) -> Packed:
    lengths = tuple(itertools.chain.from_iterable(part.lengths for part in parts))
    before = [0, *itertools.accumulate(len(part.lengths) for part in parts)]
    parents = [
        parent if parent == NO_PARENT else parent + first
        for part, first in zip(parts, before, strict=False)
        for parent in part.parents
    ]
    ids = torch.cat([part.ids for part in parts])
    offsets = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device=ids.device)
    return Packed(ids, torch.cat([part.positions for part in parts]), offsets, lengths, tuple(parents))


def shifted(places: Sequence[Tensor], lengths: Sequence[int]) -> list[Tensor]:
    """Return places within parts as places within the whole."""
    starts = itertools.accumulate(lengths, initial=0)
    return [place + start for place, start in zip(places, starts, strict=False)]


def unknown_in(inner: Any, joined: Any, layers: Mapping[str, JoinedLinear]) -> str | None:
    """Say what of a cell's model, without peft's wrapper, the joined model does not know; None: nothing."""
    settings = inner.config
    if settings.is_encoder_decoder and settings.model_type not in T5_LIKE:
        return f"the encoder and decoder of {settings.model_type} attend to each other's tokens at once"
    if any("expert" in key for key in settings.get_text_config().to_dict()):
        return "its experts take tokens apart"
    own = adapted(inner)
    if unknown := [name for name, layer in own.items() if name not in layers or not is_plain(layer)]:
        return f"the adapter on {unknown[0]} is not a plain one on a linear layer"
    weights = {name.replace(".base_layer", ""): weight for name, weight in inner.named_parameters()}
    if any(weights.get(name) is not weight for name, weight in joined.named_parameters()):
        return NOT_SHARED
    return None


def adapted(inner: nn.Module) -> dict[str, Any]:
    """Return the layers with an adapter, by their names."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {name: part for name, part in inner.named_modules() if isinstance(part, BaseTunerLayer)}
