"""An encoder-decoder model on a batch of rows: encode once, then decode token by token or score label trees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from instruct_ablate.model.decoding.answers.label_tree import LabelTree
from instruct_ablate.model.decoding.answers.references import parts
from instruct_ablate.model.decoding.layers import t5_layers, t5gemma2_layers
from instruct_ablate.model.decoding.layers.attention import Pair, Run
from instruct_ablate.model.decoding.layers.batch import Batch, runs
from instruct_ablate.model.decoding.layers.kv_cache import PrefixCache, RowCache
from instruct_ablate.model.decoding.layers.ordered_weights import OrderedWeights
from instruct_ablate.model.decoding.layers.step_graph import StepGraph, captures
from instruct_ablate.model.decoding.layers.target import Target, of_trees
from instruct_ablate.model.families import MERGED, T5_LIKE


class Layers(Protocol):
    """A family's layers, as `t5_layers` has them."""

    def encode(self, model: Any, ids: Tensor, runs: list[Run]) -> Tensor:
        """Return the encoder's output (tokens, width) for packed sources."""

    def cross_keys(self, model: Any, encoded: Tensor, runs: list[Run]) -> tuple[list[Pair], Tensor]:
        """Return each decoder layer's keys and values of the sources, and who is real."""

    def decode(
        self, model: Any, ids: Tensor, target: Target, own: Any, cross: list[Pair], real: Tensor
    ) -> Tensor:
        """Return the logits (rows, tokens, vocabulary) of target tokens."""


LAYERS: dict[str, Layers] = {
    **dict.fromkeys(T5_LIKE, t5_layers),
    **dict.fromkeys(MERGED, t5gemma2_layers),
}


class EncoderDecoder:
    """Forward passes of one batch of a T5 or T5Gemma 2; all rows' targets begin at the same place.

    `weights`: of batches before.
    """

    def __init__(self, model: Any, batch: Batch, start: int, weights: OrderedWeights | None = None) -> None:
        self.model, self.batch, self.start = model, batch, start
        self.device, self.weights = model.device, (weights or OrderedWeights(model)).begin()
        self.layers: Layers = LAYERS[model.config.model_type]
        self.cross, self.real = self._read()
        self.steady = captures(model)
        self.cache = self._no_tokens(0)
        self.uneven = False  # places are columns
        self._graph: StepGraph | None = None

    def _read(self) -> tuple[list[Pair], Tensor]:
        """Encode the sources; return each decoder layer's keys and values of them, and who is real."""
        packed = runs(self.batch)
        tokens = torch.tensor([token for row in self.batch.rows for token in row.tokens], device=self.device)
        return self.layers.cross_keys(self.model, self.layers.encode(self.model, tokens, packed), packed)

    def prefill(self, room: int) -> Tensor:
        """Read the start token; return the next-token logits and keep space for `room` further tokens."""
        self.cache = self._no_tokens(room + 1)
        self._graph = StepGraph(self.model, self.cache) if self.steady else None
        return self.step(torch.full((len(self.batch.rows),), self.start, device=self.device))

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token per row; return the next-token logits."""
        self.cache.grow()
        if self._graph is None:
            with self.weights.in_use(len(tokens)):
                logits = self._step(tokens)
        else:
            logits = self._graph(self._step, tokens)
        self.cache.end += 1
        return logits

    def _step(self, tokens: Tensor) -> Tensor:
        """Read one token per row (rows,); nothing but tensors may differ from step to step."""
        columns = torch.arange(self.cache.columns, device=self.device)[None]
        here = self.cache.here
        place = columns[:, here, None] if isinstance(here, int) else here[None]
        if self.uneven:
            columns, place = (at - self.cache.starts[:, None] for at in (columns, place))
        target = Target(place, columns, self.cache.hidden()[:, None])
        logits = self.layers.decode(self.model, tokens[:, None], target, self._append, self.cross, self.real)
        return logits[:, 0]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.cache.keep(rows)
        self.real = self.real[rows]
        longest = int(self.real.sum(1).max())
        self.real = self.real[:, :longest]
        self.cross = [
            (keys[rows, :, :longest].contiguous(), values[rows, :, :longest].contiguous())
            for keys, values in self.cross
        ]

    def score(self) -> list[Tensor]:
        """Return each row's logits (1 + nodes, vocabulary): what follows the start token, and each node."""
        trees = [row.tree for row in self.batch.rows if row.tree is not None]
        return self._score(trees, slice(None))

    def behind(self, trees: Sequence[LabelTree]) -> Iterator[Tensor]:
        """Yield the logits of a tree for each row, as `score` does of its own; what is decoded stays as it is."""
        for part in parts(trees, self.model.config.get_text_config().vocab_size, padded=True):
            yield from self._score(trees[part], part)

    def _score(self, trees: Sequence[LabelTree], part: slice) -> list[Tensor]:
        ids, target = of_trees(trees, self.start, self.device)
        cross = [(keys[part], values[part]) for keys, values in self.cross]
        logits = self.layers.decode(self.model, ids, target, _only_new, cross, self.real[part])
        return [one[: 1 + tree.size] for one, tree in zip(logits, trees, strict=True)]

    def _append(self, layer: int, key: Tensor, value: Tensor) -> Pair:
        """Keep one token's key and value (rows, heads, 1, dim); return all of the target so far."""
        return self.cache.append(
            layer, (key[:, :, 0].transpose(0, 1)[None], value[:, :, 0].transpose(0, 1)[None])
        )

    def _no_tokens(self, room: int) -> RowCache:
        """Return an empty cache: targets begin together, and share no prefix."""
        rows = len(self.real)
        lengths = self.real.new_zeros(rows, dtype=torch.long)
        return RowCache(PrefixCache([]), [None] * rows, lengths, room, self.steady)


def _only_new(layer: int, key: Tensor, value: Tensor) -> Pair:
    """See the target tokens of this pass alone."""
    return key, value
