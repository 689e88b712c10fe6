"""The label tree: answer choices as token sequences, their common beginnings merged, and the two ways to choose.

Constrained decoding takes the greedy path through the tree; rank classification its likeliest label as a whole (as
T0 is scored, Sanh et al. 2022, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

ROOT = -1
CHUNK = 64  # rows of logits brought to fp32 at once


@dataclass(frozen=True)
class LabelTree:
    """Labels as paths through a tree of tokens; each label ends with the end token, which closes it.

    `tokens` are the nodes that the model reads, parents before children; `parents` their parents (ROOT is the
    end of the source). A path lists, for each token of a label, the node that predicts it, and the token.
    """

    labels: tuple[str, ...]
    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[tuple[int, int], ...], ...] = field(repr=False)

    @property
    def size(self) -> int:
        """Number of nodes the model reads; 0 where all labels are their end alone.

        Not its length: an empty tree would be as false as none, and its question pass for one that is bound to nothing.
        """
        return len(self.tokens)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Each node's place behind the source, from 0."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(0 if parent == ROOT else depths[parent] + 1)
        return tuple(depths)

    @cached_property
    def sees(self) -> Tensor:
        """Which nodes (columns) each node (rows) sees: its ancestors and itself."""
        seen = torch.eye(self.size, dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent != ROOT:
                seen[node] |= seen[parent]
        return seen


def label_tree(labels: Sequence[str], ids: Sequence[Sequence[int]]) -> LabelTree:
    """Merge the labels' token sequences (`ids`, the end token last)."""
    nodes: dict[tuple[int, int], int] = {}
    paths = []
    for sequence in ids:
        at, path = ROOT, []
        for token in sequence[:-1]:
            path.append((at, token))
            at = nodes.setdefault((at, token), len(nodes))
        paths.append((*path, (at, sequence[-1])))
    return LabelTree(
        tuple(labels), tuple(token for _, token in nodes), tuple(parent for parent, _ in nodes), tuple(paths)
    )


def token_scores(tree: LabelTree, logits: Tensor) -> list[list[float]]:
    """Return the log-likelihood of each token of each label, the end token included.

    `logits` (1 + nodes, vocabulary): first what follows the source, then what follows each node.
    """
    totals = torch.cat([part.float().logsumexp(-1) for part in torch.split(logits, CHUNK)])
    at = [node + 1 for path in tree.paths for node, _ in path]
    tokens = [token for path in tree.paths for _, token in path]
    flat = iter((logits[at, tokens].float() - totals[at]).tolist())
    return [[next(flat) for _ in path] for path in tree.paths]


def walk(tree: LabelTree, scores: Sequence[Sequence[float]]) -> str:
    """Return the label that greedy decoding ends with when only tokens that continue a label are allowed.

    `scores` holds the log-likelihood of each token of each label. At each step the likeliest allowed token is
    taken (of equally likely ones the smallest id), so that the label need not be the likeliest as a whole; that
    one is what `rank` finds. The end token closes a label.
    """
    below: dict[int, dict[int, tuple[float, int | str]]] = {}
    for label, path, along in zip(tree.labels, tree.paths, scores, strict=True):
        following: list[int | str] = [*(node for node, _ in path[1:]), label]
        for (node, token), score, then in zip(path, along, following, strict=True):
            below.setdefault(node, {}).setdefault(token, (score, then))
    at = ROOT
    while True:
        children = below[at]
        then = children[min(children, key=lambda token: (-children[token][0], token))][1]
        if isinstance(then, str):
            return then
        at = then


def best(tree: LabelTree, scores: Sequence[Sequence[float]], normalized: bool) -> str:
    """Return the label with the highest log-likelihood, its end token included.

    `scores` holds the log-likelihood of each token of each label: their sum counts, or, `normalized` by the
    number of tokens, their mean. The first label wins a tie.
    """
    totals = [sum(along) / (len(along) if normalized else 1) for along in scores]
    return tree.labels[max(range(len(totals)), key=totals.__getitem__)]
