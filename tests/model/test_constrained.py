from instruct_ablate.model.constrained import walk
from instruct_ablate.model.label_tree import label_tree

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
