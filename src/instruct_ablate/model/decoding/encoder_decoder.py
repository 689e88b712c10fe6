"""An encoder-decoder model on a batch of rows: encode once, then decode token by token or score label trees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.model.decoding import t5_layers as t5
from instruct_ablate.model.decoding.attention import Pair
from instruct_ablate.model.decoding.batch import Batch, runs
from instruct_ablate.model.decoding.kv_cache import PrefixCache, RowCache
from instruct_ablate.model.decoding.label_tree import LabelTree
from instruct_ablate.model.decoding.references import parts
from instruct_ablate.model.transformers_internals import of_each_layer


class EncoderDecoder:
    """Forward passes of one batch of a T5 model; all rows' targets begin at the same place."""

    def __init__(self, model: Any, batch: Batch, start: int) -> None:
        self.model, self.batch, self.start = model, batch, start
        self.device = model.device
        packed = runs(batch)
        tokens = torch.tensor([token for row in batch.rows for token in row.tokens], device=self.device)
        self.cross, self.real = t5.cross_keys(model, t5.encode(model, tokens, packed), packed)
        self.cache = self._no_tokens(0)

    def prefill(self, room: int) -> Tensor:
        """Read the start token; return the next-token logits and keep space for `room` further tokens."""
        self.cache = self._no_tokens(room + 1)
        return self.step(torch.full((len(self.batch.rows),), self.start, device=self.device))

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token per row; return the next-token logits."""
        self.cache.grow()
        hidden = self.cache.hidden()[:, None, None]
        size = (1, self.cache.columns, self.cache.end)
        biases = self._biases(*size, lambda bias: bias.masked_fill(hidden, float("-inf")))
        logits = t5.decode(self.model, tokens[:, None], biases, self._append, self.cross, self.real)
        self.cache.end += 1
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
        for part in parts(trees, self.model.config.vocab_size, padded=True):
            yield from self._score(trees[part], part)

    def _score(self, trees: Sequence[LabelTree], part: slice) -> list[Tensor]:
        width = 1 + max(map(len, trees))
        ids = torch.full((len(trees), width), self.start)
        places = torch.zeros(len(trees), width, dtype=torch.long)
        sees = torch.zeros(len(trees), width, width, dtype=torch.bool)
        sees[:, :, 0] = True
        for row, tree in enumerate(trees):
            ids[row, 1 : 1 + len(tree)] = torch.tensor(tree.tokens, dtype=torch.long)
            places[row, 1 : 1 + len(tree)] = torch.tensor(tree.depths, dtype=torch.long) + 1
            sees[row, 1 : 1 + len(tree), 1 : 1 + len(tree)] = tree.sees
        cross = [(keys[part], values[part]) for keys, values in self.cross]
        biases = self._tree_biases(places, sees)
        logits = t5.decode(self.model, ids.to(self.device), biases, _only_new, cross, self.real[part])
        return [one[: 1 + len(tree)] for one, tree in zip(logits, trees, strict=True)]

    def _biases(self, queries: int, keys: int, seen: int, shown: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Return each layer's position bias, with what is not seen hidden."""

        def made(attention: Any) -> Tensor:
            return shown(attention.compute_bias(queries, keys, past_seen_tokens=seen))

        return of_each_layer(self.model.decoder, made)

    def _tree_biases(self, places: Tensor, sees: Tensor) -> list[Tensor]:
        """Return each layer's bias (rows, heads, nodes, nodes) by the nodes' depths, hiding what is no ancestor."""
        deepest, unseen = int(places.max()) + 1, ~sees[:, None].to(self.device)

        def shown(table: Tensor) -> Tensor:
            bias = table[0][:, places[:, :, None], places[:, None, :]].transpose(0, 1)
            return bias.masked_fill(unseen, float("-inf"))

        return self._biases(deepest, deepest, 0, shown)

    def _append(self, layer: int, key: Tensor, value: Tensor) -> Pair:
        """Keep one token's key and value (rows, heads, 1, dim); return all of the target so far."""
        return self.cache.append(
            layer, (key[:, :, 0].transpose(0, 1)[None], value[:, :, 0].transpose(0, 1)[None])
        )

    def _no_tokens(self, room: int) -> RowCache:
        """Return an empty cache: targets begin together, and share no prefix."""
        rows = len(self.batch.rows)
        return RowCache(PrefixCache([]), [None] * rows, self.real.new_zeros(rows, dtype=torch.long), room)


def _only_new(layer: int, key: Tensor, value: Tensor) -> Pair:
    """See the target tokens of this pass alone."""
    return key, value
