"""Where target tokens of a pass through a decoder beside an encoder stand, and whom among themselves they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from instruct_ablate.model.decoding.answers.label_tree import LabelTree


@dataclass(frozen=True, slots=True)
class Target:
    """Places of the tokens that ask (rows or 1, tokens) and of those they may see (rows or 1, keys).

    `hidden` (rows, tokens or 1, keys) marks what a token does not see, its window apart.
    """

    places: Tensor
    keys: Tensor
    hidden: Tensor

    @property
    def distance(self) -> Tensor:
        """How many places behind the token that asks each other one stands, (rows or 1, tokens, keys)."""
        return self.keys[:, None] - self.places[:, :, None]

    def unseen(self, window: int | None = None) -> Tensor:
        """Return what a token does not see with a sliding window, which counts the token's own place."""
        return self.hidden if window is None else self.hidden | (self.distance <= -window)


def of_trees(trees: Sequence[LabelTree], start: int, device: torch.device) -> tuple[Tensor, Target]:
    """Return the ids (rows, 1 + most nodes) of label trees behind the start token, and how they stand.

    What fills a row up sees the start token alone, and nothing sees it.
    """
    width = 1 + max(tree.size for tree in trees)
    ids = torch.full((len(trees), width), start)
    places = torch.zeros(len(trees), width, dtype=torch.long)
    sees = torch.zeros(len(trees), width, width, dtype=torch.bool)
    # Every place does, what fills up too: softmax over nothing would be NaN.
    sees[:, :, 0] = True
    for row, tree in enumerate(trees):
        ids[row, 1 : 1 + tree.size] = torch.tensor(tree.tokens, dtype=torch.long)
        places[row, 1 : 1 + tree.size] = torch.tensor(tree.depths, dtype=torch.long) + 1
        sees[row, 1 : 1 + tree.size, 1 : 1 + tree.size] = tree.sees
    places = places.to(device)
    return ids.to(device), Target(places, places, ~sees.to(device))
