"""A decoding batch: rows of tokens, the prefixes they share and the labels they may answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from instruct_ablate.model.decoding.answers.label_tree import LabelTree
from instruct_ablate.model.decoding.layers.attention import Run

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One question: its prefix (an index into the batch's), its tokens behind it, and its label tree."""

    tokens: Ids
    prefix: int | None = None
    tree: LabelTree | None = None

    @property
    def nodes(self) -> int:
        """Number of label tokens read behind the row's own."""
        return 0 if self.tree is None else self.tree.size


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows decoded side by side; rows of one prefix are neighbours, shorter ones first."""

    prefixes: tuple[Ids, ...]
    rows: tuple[Row, ...]

    def prefix_length(self, row: Row) -> int:
        """Return how many tokens stand before a row's own."""
        return 0 if row.prefix is None else len(self.prefixes[row.prefix])


def runs(batch: Batch, trees: bool = False) -> list[Run]:
    """Join neighbouring rows of equal length behind the same prefix; `trees` puts the label trees behind them."""
    joined: list[Run] = []
    start = 0
    masks: dict[tuple[int, int, int], Tensor] = {}
    for row, same in _alike(batch.rows, trees):
        tree = row.tree if trees else None
        before, nodes = batch.prefix_length(row), row.nodes if trees else 0
        mask = None
        if before or nodes:
            # By the very tree: questions with equal choices hold one, and it lives as long as the batch does.
            key = (before, len(row.tokens), id(tree))
            if key not in masks:
                masks[key] = tree_mask(before, len(row.tokens), tree)
            mask = masks[key]
        places = tree_places(len(row.tokens), tree) if nodes else None
        joined.append(Run(start, same, len(row.tokens) + nodes, row.prefix, mask, places))
        start = joined[-1].stop
    return joined


def _alike(rows: Sequence[Row], trees: bool) -> Iterator[tuple[Row, int]]:
    """Yield the first row of each stretch that one attention call can take, and the stretch's size."""
    for _, same in groupby(rows, key=lambda row: (row.prefix, len(row.tokens), id(row.tree) if trees else 0)):
        stretch = list(same)
        yield stretch[0], len(stretch)


def tree_mask(before: int, own: int, tree: LabelTree | None) -> Tensor:
    """Return who sees whom: all see the prefix, own tokens the earlier ones, label tokens their ancestors too."""
    nodes = 0 if tree is None else tree.size
    mask = torch.ones(own + nodes, before + own + nodes, dtype=torch.bool).tril(before)
    if tree is not None:
        mask[own:, before + own :] = tree.sees
    return mask


def tree_places(own: int, tree: LabelTree | None) -> tuple[int, ...]:
    """Return the places of a row's tokens and its tree's, from the row's first."""
    return (*range(own), *(own + depth for depth in (() if tree is None else tree.depths)))
