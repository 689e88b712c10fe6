"""Rank classification: the likeliest of a prompt's labels, as T0 is scored (Sanh et al. 2022, section 5)."""

from __future__ import annotations

from collections.abc import Sequence

from instruct_ablate.model.label_tree import LabelTree


def best(tree: LabelTree, scores: Sequence[Sequence[float]], normalized: bool) -> str:
    """Return the label with the highest log-likelihood, its end token included.

    `scores` holds the log-likelihood of each token of each label: their sum counts, or, `normalized` by the
    number of tokens, their mean. The first label wins a tie.
    """
    totals = [sum(along) / (len(along) if normalized else 1) for along in scores]
    return tree.labels[max(range(len(totals)), key=totals.__getitem__)]
