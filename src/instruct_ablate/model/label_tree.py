"""The label tree: answer choices as token sequences, their common beginnings merged."""

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

    def __len__(self) -> int:
        """Number of nodes the model reads."""
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
        seen = torch.eye(len(self), dtype=torch.bool)
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
