from instruct_ablate.model.label_tree import label_tree
from instruct_ablate.model.rank import best

TREE = label_tree(("short", "long label"), ((1, 0), (2, 3, 4, 0)))


def test_the_sum_prefers_short_labels_the_mean_need_not():
    scores = [[-1.0, -1.0], [-0.6, -0.6, -0.6, -0.6]]
    assert best(TREE, scores, normalized=False) == "short"
    assert best(TREE, scores, normalized=True) == "long label"


def test_the_end_token_counts():
    assert best(TREE, [[-0.1, -9.0], [-1.0, -1.0, -1.0, -1.0]], normalized=False) == "long label"


def test_the_first_label_wins_a_tie():
    assert best(TREE, [[-2.0, -2.0], [-1.0, -1.0, -1.0, -1.0]], normalized=False) == "short"
