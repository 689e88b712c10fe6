"""Constrained decoding: the greedy path through the tree of a prompt's labels."""

from __future__ import annotations

from collections.abc import Sequence

from instruct_ablate.model.label_tree import ROOT, LabelTree


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
