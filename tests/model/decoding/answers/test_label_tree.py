import pytest
import torch

from instruct_ablate.model.decoding.answers.label_tree import ROOT, best, label_tree, token_scores, walk

END = 0
IDS = ((5, END), (5, 6, 7, END), (8, 6, END))
TREE = label_tree(("a", "ab", "c"), IDS)


def test_common_beginnings_are_merged():
    assert TREE.tokens == (5, 6, 7, 8, 6)
    assert TREE.parents == (ROOT, 0, 1, ROOT, 3)
    assert TREE.size == 5


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
    logits = torch.randn(1 + TREE.size, 10)
    expected = logits.log_softmax(-1).tolist()
    scores = token_scores(TREE, logits)
    assert [len(row) for row in scores] == [2, 4, 3]
    assert scores[1] == pytest.approx(
        [expected[0][5], expected[1][6], expected[2][7], expected[3][END]], abs=1e-5
    )
    assert scores[2] == pytest.approx([expected[0][8], expected[4][6], expected[5][END]], abs=1e-5)


END = 0


def test_the_greedy_path_need_not_be_the_likeliest_label():
    tree = label_tree(("ab", "ac", "d"), ((1, 2, END), (1, 3, END), (4, END)))
    scores = [[-0.5, -2.0, 0.0], [-0.5, -3.0, 0.0], [-1.0, 0.0]]
    assert walk(tree, scores) == "ab"  # -2.5 in all, against -1.0 of "d"


def test_the_end_token_closes_a_label_that_begins_another():
    tree = label_tree(("yes", "yes it is"), ((1, END), (1, 2, END)))
    assert walk(tree, [[-0.1, -0.5], [-0.1, -1.0, 0.0]]) == "yes"
    assert walk(tree, [[-0.1, -1.0], [-0.1, -0.5, 0.0]]) == "yes it is"


def test_the_smallest_token_wins_a_tie():
    tree = label_tree(("x", "y"), ((9, END), (3, END)))
    assert walk(tree, [[-1.0, 0.0], [-1.0, 0.0]]) == "y"


def test_the_first_of_two_labels_with_the_same_tokens():
    tree = label_tree(("x", "X"), ((9, END), (9, END)))
    assert walk(tree, [[-1.0, 0.0], [-1.0, 0.0]]) == "x"


def test_a_single_label_is_always_chosen():
    assert walk(label_tree(("only",), ((7, 8, END),)), [[-50.0, -50.0, -50.0]]) == "only"


TWO = label_tree(("short", "long label"), ((1, 0), (2, 3, 4, 0)))


def test_the_sum_prefers_short_labels_the_mean_need_not():
    scores = [[-1.0, -1.0], [-0.6, -0.6, -0.6, -0.6]]
    assert best(TWO, scores, normalized=False) == "short"
    assert best(TWO, scores, normalized=True) == "long label"


def test_the_end_token_counts():
    assert best(TWO, [[-0.1, -9.0], [-1.0, -1.0, -1.0, -1.0]], normalized=False) == "long label"


def test_the_first_label_wins_a_tie():
    assert best(TWO, [[-2.0, -2.0], [-1.0, -1.0, -1.0, -1.0]], normalized=False) == "short"
