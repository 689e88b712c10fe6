import pytest
import torch

from instruct_ablate.model.label_tree import ROOT, label_tree, token_scores

END = 0
IDS = ((5, END), (5, 6, 7, END), (8, 6, END))
TREE = label_tree(("a", "ab", "c"), IDS)


def test_common_beginnings_are_merged():
    assert TREE.tokens == (5, 6, 7, 8, 6)
    assert TREE.parents == (ROOT, 0, 1, ROOT, 3)
    assert len(TREE) == 5


def test_depths_count_from_the_source():
    assert TREE.depths == (0, 1, 2, 0, 1)


def test_paths_name_the_node_that_predicts_each_token():
    assert TREE.paths == (
        ((ROOT, 5), (0, END)),
        ((ROOT, 5), (0, 6), (1, 7), (2, END)),
        ((ROOT, 8), (3, 6), (4, END)),
    )


def test_nodes_see_their_ancestors_and_themselves():
    seen = [set(row.nonzero()[:, 0].tolist()) for row in TREE.sees]
    assert seen == [{0}, {0, 1}, {0, 1, 2}, {3}, {3, 4}]


def test_one_token_labels():
    tree = label_tree(("x", "y"), ((3, END), (4, END)))
    assert (tree.tokens, tree.parents) == ((3, 4), (ROOT, ROOT))


def test_token_scores_are_log_softmax_along_the_paths():
    torch.manual_seed(0)
    logits = torch.randn(1 + len(TREE), 10)
    expected = logits.log_softmax(-1).tolist()
    scores = token_scores(TREE, logits)
    assert [len(row) for row in scores] == [2, 4, 3]
    assert scores[1] == pytest.approx(
        [expected[0][5], expected[1][6], expected[2][7], expected[3][END]], abs=1e-5
    )
    assert scores[2] == pytest.approx([expected[0][8], expected[4][6], expected[5][END]], abs=1e-5)
