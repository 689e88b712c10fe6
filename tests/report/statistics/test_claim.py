"""Claims: what tests say of a clause, corrected over the places that can say anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from instruct_ablate.hypotheses import Clause, parse_hypothesis
from instruct_ablate.report.statistics.claim import advice, aim_of, p_refute, p_support, rulings
from instruct_ablate.report.statistics.comparison import compare
from instruct_ablate.report.statistics.looks import Looks
from instruct_ablate.report.statistics.paired import Pairing
from instruct_ablate.report.statistics.power import Design, power
from instruct_ablate.report.statistics.tried import Tried
from instruct_ablate.report.statistics.variance.components import Components


def clause(text: str) -> Clause:
    return parse_hypothesis(f"a {text}").clauses[0]


EQUAL = clause("equals b on exact_match within 2")


def tried(shift: float, seeds: int = 3, level: float = 70.0, tasks: int = 40) -> Tried:
    generator = np.random.default_rng(tasks)
    right = np.full((seeds, tasks), level)
    left = right + shift + generator.normal(0, 0.5, (seeds, tasks))
    return Tried(Pairing(left, right, tuple(range(seeds)), ("t",) * tasks, (10_000,) * tasks), 0)


def test_support_and_refutation_are_opposite_tests():
    comparison = compare(np.random.default_rng(0).normal(3.0, 1.0, (3, 12)))
    for text in ("exceeds b on exact_match by 1", "is lower than b on exact_match by 1"):
        one = clause(text)
        assert p_support(one, comparison) == pytest.approx(1 - p_refute(one, comparison))
    assert p_support(EQUAL, comparison) > 0.9
    assert p_refute(EQUAL, comparison) == pytest.approx(2 * comparison.p_exceeds(2.0))


def test_places_that_cannot_be_decided_are_no_tests_to_correct_for():
    places = [tried(0.0), tried(8.0), tried(0.0, seeds=1), tried(0.0, level=0.0)]
    places[3] = replace(places[3], pairing=replace(places[3].pairing, left=np.zeros((3, 40))))
    found = rulings(EQUAL, places)
    assert [one.answer for one in found] == ["supported", "refuted", "undecided", "uninformative"]
    assert [one.reason for one in found] == ["", "", "one seed", "both sides stand at the floor"]
    assert {one.places for one in found} == {2}
    assert found[0].p_support == pytest.approx(2 * p_support(EQUAL, found[0].comparison))
    assert np.isnan(found[2].p_support)


def test_only_equality_of_untuned_models_says_nothing():
    one = replace(tried(8.0, seeds=1), seedless=True, untrained=True)
    assert rulings(EQUAL, [one])[0].reason == "neither side was trained"
    assert rulings(clause("exceeds b on exact_match by 1"), [one])[0].answer == "supported"


def test_advice_states_its_truth_and_counts_the_places():
    assert aim_of(EQUAL, 4).level == 0.05 / 4
    assert aim_of(EQUAL, 4).truth == 0
    lower = aim_of(clause("is lower than b on exact_match by 1"), 1)
    assert (lower.verb, lower.margin, lower.truth) == ("is lower", 1.0, -3.0)
    assert aim_of(EQUAL, 4, 0.5).truth == 0.5
    assert aim_of(clause("is lower than b on exact_match by 1"), 1, 4.0).truth == -5.0
    assert aim_of(clause("exceeds b on exact_match by 1"), 1, 4.0).truth == 5.0
    wide = [tried(0.0, tasks=6), tried(0.5, tasks=6)]
    for ruling in rulings(clause("equals b on exact_match within 0.7"), wide):
        needed = advice(clause("equals b on exact_match within 0.7"), ruling)
        if needed.tasks is not None:
            design = replace(ruling.comparison.design, tasks=needed.tasks)
            assert power(design, aim_of(clause("equals b on exact_match within 0.7"), 2)) >= 0.8


def test_power_goes_with_the_stated_truth():
    """Points apart make equality harder to show; points beyond a bound make it easier."""
    design = Design(Components(0.5, 4.0, 2.0), 5, 40)
    equal, exceeds = clause("equals b on exact_match within 2"), clause("exceeds b on exact_match by 1")
    apart = [power(design, aim_of(equal, 1, truth)) for truth in (None, 0.0, 0.5, 1.0, 1.9)]
    assert apart[0] == apart[1] > apart[2] > apart[3] > apart[4]
    beyond = [power(design, aim_of(exceeds, 1, truth)) for truth in (0.5, 1.0, 2.0, None, 3.0)]
    assert beyond[0] < beyond[1] < beyond[2] == beyond[3] < beyond[4]


def test_a_supported_mean_is_vulnerable_to_tasks_not_drawn_and_a_share_is_not():
    ruling = rulings(EQUAL, [tried(0.0)])[0]
    exposed = ruling.vulnerable(EQUAL)
    assert exposed is not None
    assert exposed.share == pytest.approx(1 - 0.05 ** (1 / 40))
    share = clause("equals b on exact_match within 2 for 90 % of tasks")
    assert rulings(share, [tried(0.0)])[0].answer == "supported"
    assert rulings(share, [tried(0.0)])[0].vulnerable(share) is None
    assert advice(share, rulings(share, [tried(0.0, tasks=12)])[0]).tasks == 29


def test_what_neither_test_decides_is_undecided():
    (ruling,) = rulings(EQUAL, [tried(2.0)])
    assert (ruling.answer, ruling.reason) == ("undecided", "")
    assert min(ruling.p_support, ruling.p_refute) >= 0.05


def shifted(by: float) -> np.ndarray:
    return by + np.random.default_rng(1).normal(0, 0.5, (3, 40))


def test_p_against_equality_is_of_either_side_and_never_above_one():
    for shift in (0.0, 1.0, -3.0, 3.0):
        comparison = compare(shifted(shift))
        one_sided = min(comparison.p_exceeds(2.0), comparison.p_below(-2.0))
        assert p_refute(EQUAL, comparison) == pytest.approx(min(1.0, 2 * one_sided))
    assert p_refute(EQUAL, compare(shifted(0.0))) == 1.0
    assert p_refute(EQUAL, compare(shifted(3.0))) < 0.05


def test_p_of_a_bound_is_of_its_own_side():
    comparison = compare(shifted(3.0))
    exceeds, lower = clause("exceeds b on exact_match by 1"), clause("is lower than b on exact_match by 1")
    assert p_support(exceeds, comparison) == comparison.p_exceeds(1.0) < 0.05
    assert p_refute(exceeds, comparison) == comparison.p_below(1.0) > 0.95
    assert p_support(lower, comparison) == comparison.p_below(-1.0) > 0.95
    assert p_refute(lower, comparison) == comparison.p_exceeds(-1.0) < 0.05


def test_a_share_that_many_tasks_do_not_show_needs_more_than_there_are():
    share = clause("equals b on exact_match within 2 for 90 % of tasks")
    (ruling,) = rulings(share, [tried(0.0, tasks=40)])
    assert advice(share, ruling).tasks == 41


def test_what_has_no_further_seeds_is_settled():
    assert rulings(EQUAL, [tried(2.0)], Looks(3))[0].settled, "all that were planned"
    assert rulings(EQUAL, [replace(tried(2.0, seeds=1), seedless=True)], Looks(9))[0].settled
