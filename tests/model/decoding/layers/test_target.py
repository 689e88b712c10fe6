"""Targets: whom label trees' nodes see, and windows by distance."""

from __future__ import annotations

import torch

from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.layers.target import Target, of_trees


def test_nodes_see_the_start_token_their_ancestors_and_themselves() -> None:
    tree = label_tree(("a", "ab", "c"), ((5, 1), (5, 6, 1), (8, 9, 1)))
    ids, target = of_trees([tree, label_tree(("x",), ((7, 1),))], 0, torch.device("cpu"))
    assert ids.tolist() == [[0, 5, 6, 8, 9], [0, 7, 0, 0, 0]]
    assert target.places[0].tolist() == [0, 1, 2, 1, 2]
    seen = ~target.unseen()
    assert [one.nonzero()[:, 0].tolist() for one in seen[0]] == [[0], [0, 1], [0, 1, 2], [0, 3], [0, 3, 4]]
    assert [one.nonzero()[:, 0].tolist() for one in seen[1]] == [[0], [0, 1], [0], [0], [0]]
    near = ~target.unseen(2)  # the token itself and the one before
    assert near[0, 4].nonzero()[:, 0].tolist() == [3, 4]


def test_a_step_sees_its_window_of_columns() -> None:
    columns = torch.arange(6)[None]
    target = Target(columns[:, 4, None], columns, columns[:, None] > 4)
    assert (~target.unseen(3)).nonzero()[:, 2].tolist() == [2, 3, 4]
