import torch

from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.layers.batch import Batch, Row, runs

TREE = label_tree(("a", "b"), ((5, 6, 0), (7, 0)))
BATCH = Batch(
    ((1, 2, 3),),
    (Row((4,), 0), Row((5,), 0), Row((6, 7), 0), Row((8, 9)), Row((8, 9, 10), None, TREE)),
)


def test_rows_of_equal_length_behind_one_prefix_are_one_run():
    found = runs(BATCH)
    assert [(r.start, r.rows, r.length, r.prefix) for r in found] == [
        (0, 2, 1, 0),
        (2, 1, 2, 0),
        (4, 1, 2, None),
        (6, 1, 3, None),
    ]
    assert found[0].stop == 2


def test_masks_show_the_prefix_and_earlier_tokens():
    masks = [run.mask for run in runs(BATCH)]
    assert masks[1].tolist() == [[True] * 4 + [False], [True] * 5]
    assert masks[2] is None  # causal, no prefix: the kernel's own way


def test_label_trees_stand_behind_the_row():
    run = runs(BATCH, trees=True)[-1]
    assert run.length == 3 + 3
    assert torch.equal(run.mask[:3, :3], torch.ones(3, 3, dtype=torch.bool).tril())
    assert not run.mask[:3, 3:].any()
    assert run.mask[3:, :3].all()
    assert torch.equal(run.mask[3:, 3:], TREE.sees)


def test_prefix_length_and_nodes():
    assert [BATCH.prefix_length(row) for row in BATCH.rows] == [3, 3, 3, 0, 0]
    assert [row.nodes for row in BATCH.rows] == [0, 0, 0, 0, 3]
