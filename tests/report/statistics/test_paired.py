"""Pairing: by seed and task, on what both sides have, with what its instances leave open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from instruct_ablate.metrics import Scores, TaskScore
from instruct_ablate.report.statistics.paired import Pairing, dropped_words, in_some, pair, task_values
from instruct_ablate.report.statistics.variance.outcomes import Outcomes, unpaired_floor
from tests.left_out import left_out
from tests.report.cells import make_scores
from tests.scored import score


def test_differences_by_seed_and_task():
    own = {0: make_scores(60.0, 30.0), 1: make_scores(50.0, 40.0)}
    other = {0: make_scores(55.0, 30.0), 1: make_scores(52.0, 35.0), 2: make_scores(1.0)}
    found = pair(own, other, "rougeL")
    assert found is not None
    assert found.seeds == (0, 1)
    assert found.tasks == ("task_c", "task_g")
    assert found.instances == (100, 100)
    assert found.differences == pytest.approx(np.array([[5.0, 0.0], [-2.0, 5.0]]))
    assert found.swapped().differences == pytest.approx(-found.differences)


def test_exact_match_is_of_classification_tasks_alone():
    assert list(task_values(make_scores(60.0), "exact_match")) == [("task_c", 100)]
    assert list(task_values(make_scores(60.0), "generation_rougeL")) == [("task_g", 100)]
    assert task_values(make_scores(60.0, form=80.0), "format_correctness") == {("task_c", 100): 80.0}


def test_the_untuned_model_stands_against_every_seed():
    found = pair(
        {3: make_scores(60.0), 4: make_scores(62.0)}, {0: make_scores(20.0)}, "exact_match", seedless=True
    )
    assert found is not None
    assert found.differences[:, 0] == pytest.approx([40.0, 42.0])


def test_tasks_scored_on_other_instances_are_dropped_and_named():
    scores = make_scores(60.0)
    fewer = replace(scores.tasks[0], score=replace(scores.tasks[0].score, instances=50))
    found = pair({0: scores}, {0: replace(scores, tasks=(fewer, scores.tasks[1]))}, "rougeL")
    assert found is not None
    assert found.tasks == ("task_g",)
    assert found.dropped == ("task_c",)
    assert dropped_words(found.dropped).endswith("as many instances: task_c")
    assert dropped_words(tuple("abcde")).endswith("a, b, c and 2 more")
    assert dropped_words(()) == ""


def at(exact: dict[str, tuple[int, float, float | None]]) -> Scores:
    """Classification tasks by name: instances, exact match, uniform guess."""
    tasks = tuple(
        TaskScore("classification", "Logic", score(name, number, value, value, value, 90.0, guess))
        for name, (number, value, guess) in exact.items()
    )
    return replace(make_scores(1.0), tasks=tasks)


def test_what_one_seed_lacks_is_left_out_of_all_and_places_do_not_count() -> None:
    """Rows by seed, columns by name, in whatever order cells and tasks are read; one seed's side lacks a task."""
    own = {
        2: at({"b": (10, 70.0, 40.0), "a": (20, 40.0, 25.0), "c": (5, 10.0, 20.0)}),
        0: at({"a": (20, 30.0, 25.0), "b": (10, 60.0, 50.0), "c": (5, 90.0, 20.0)}),
    }
    other = {
        0: at({"c": (5, 20.0, 20.0), "b": (10, 50.0, 50.0), "a": (20, 35.0, 25.0)}),
        2: at({"a": (20, 38.0, 25.0), "b": (10, 77.0, 50.0)}),
    }
    found = pair(own, other, "exact_match")
    assert found is not None
    assert (found.seeds, found.tasks, found.instances, found.dropped) == (
        (0, 2),
        ("a", "b"),
        (20, 10),
        ("c",),
    )
    assert found.differences.tolist() == [[-5.0, 10.0], [2.0, -7.0]]
    guesses = ((25.0 + 50.0) / 2, (25.0 + 40.0) / 2)
    assert found.levels == (("the uniform guess", guesses),), "of the tasks that are compared, by seed"
    (first, other_first), (last, _) = found.seed_standings(0), found.seed_standings(1)
    assert (first.mean, other_first.mean, last.mean) == (45.0, 42.5, 55.0)
    means = (np.array([35.0, 65.0]), np.array([36.5, 63.5]))
    assert found.floor == unpaired_floor(*means, np.array([20.0, 10.0])), "of the means over seeds"


def test_a_guess_that_some_tasks_lack_is_no_level() -> None:
    scores = at({"a": (20, 40.0, 25.0), "b": (10, 70.0, None)})
    found = pair({0: scores}, {0: scores}, "exact_match")
    assert found is not None
    assert (found.tasks, found.levels) == (("a", "b"), ())


def test_nothing_shared():
    assert pair({0: make_scores(1.0)}, {1: make_scores(1.0)}, "rougeL") is None
    assert pair({0: make_scores(1.0)}, {}, "rougeL", seedless=True) is None


def test_seeds_of_one_repetition_are_one_row():
    own = {seed: make_scores(60.0) for seed in (3, 1, 2)}
    found = pair(own, own, "rougeL", once=True)
    assert found is not None
    assert (found.seeds, found.same, found.left.shape) == ((1,), (1, 2, 3), (1, 2))
    plain = pair(own, own, "rougeL")
    assert plain is not None
    assert (plain.seeds, plain.same) == ((1, 2, 3), ())
    alone = pair({7: make_scores(61.0)}, own, "rougeL", seedless=True)
    assert alone is not None, "whichever seed it was, its scores are the same"
    assert pair({7: make_scores(61.0)}, {**own, 4: make_scores(59.0)}, "rougeL", seedless=True) is None


def test_what_some_comparisons_leave_out_is_said_once():
    assert in_some([((), ()), (("b",), (1, 2)), (("a", "b"), ())]) == (
        "In some, tasks are left out, for not both sides have them on as many instances: a, b.",
        "In some, seeds 1, 2 have the same answers: one repetition.",
    )
    assert in_some([((), ())]) == ()


def test_the_floor_is_that_of_single_scores_where_they_are_there():
    found = pair({0: make_scores(60.0)}, {0: make_scores(60.0)}, "exact_match")
    assert found is not None
    assert "unpaired" in found.floor.stated
    same = (np.array([[100.0] * 60 + [0.0] * 40]),)
    paired = replace(found, outcomes=Outcomes(same, same)).floor
    assert paired.stated == ""
    assert paired.variance < found.floor.variance


def test_sides_stand_where_their_means_are():
    found = pair({0: make_scores(52.0)}, {0: make_scores(90.0)}, "exact_match")
    assert found is not None
    assert found.standings is not None
    left, right = found.standings
    assert (left.mean, right.mean, left.instances) == (52.0, 90.0, 100.0)
    assert left.at == {"the uniform guess": 50.0}
    rouge = pair({0: make_scores(52.0)}, {0: make_scores(90.0)}, "rougeL")
    assert rouge is not None
    assert rouge.levels == ()


def test_the_guess_is_a_level_where_every_task_has_one():
    scores = make_scores(60.0)
    found = pair({0: scores}, {0: scores}, "exact_match")
    assert found is not None
    assert found.levels == (("the uniform guess", (50.0,)),)
    unknown = replace(scores.tasks[0], score=replace(scores.tasks[0].score, values=(("exact_match", 60.0),)))
    bare = pair({0: replace(scores, tasks=(unknown,))}, {0: scores}, "exact_match")
    assert bare is not None
    assert bare.levels == ()


def test_a_side_with_seeds_is_paired_by_seed():
    assert pair({3: make_scores(60.0)}, {0: make_scores(20.0)}, "exact_match") is None
    assert pair({0: make_scores(60.0)}, {0: make_scores(20.0)}, "consistency") is None, "scored by nobody"


def test_what_is_no_percentage_has_neither_floor_nor_ceiling():
    found = pair({0: make_scores(60.0)}, {0: make_scores(60.0)}, "exact_match")
    assert found is not None
    assert found.percent
    words = replace(found, percent=False)
    assert (words.floor.variance, words.floor.freedom, words.standings) == (0.0, 1.0, None)


def test_tasks_of_unlike_size_stand_for_fewer_instances():
    found = pair({0: make_scores(60.0)}, {0: make_scores(60.0)}, "rougeL")
    assert found is not None
    standings = replace(found, instances=(100, 50)).standings
    assert standings is not None
    assert standings[0].instances == pytest.approx(4 / (1 / 100 + 1 / 50)), "Kish's number"


def test_exchanged_sides_have_exchanged_outcomes():
    found = pair({0: make_scores(60.0)}, {0: make_scores(40.0)}, "exact_match")
    assert found is not None
    assert found.swapped().outcomes is None
    one, other = (np.array([[100.0] * 60 + [0.0] * 40]),), (np.array([[100.0] * 40 + [0.0] * 60]),)
    both = replace(found, outcomes=Outcomes(one, other)).swapped()
    assert both.outcomes is not None
    assert both.outcomes.differences[0, 0] == pytest.approx(-20.0)


def test_what_is_left_out():
    assert left_out(Pairing) == {"percent": True}
