"""Looks: rulings of a study that is looked at early hold over all looks, and say whether seeds could change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from instruct_ablate.hypotheses import Clause
from instruct_ablate.report.statistics.claim import p_refute, p_support, rulings
from instruct_ablate.report.statistics.comparison import compare
from instruct_ablate.report.statistics.looks import WAITS, Looks
from instruct_ablate.report.statistics.paired import Pairing
from instruct_ablate.report.statistics.spending import look_level
from instruct_ablate.report.statistics.tried import Tried
from tests.report.statistics.sequences import INSTANCES, Plan, run
from tests.report.statistics.test_claim import EQUAL, clause
from tests.report.statistics.worlds import World

FIVE = Looks(5)


def tried(
    shift: float, seeds: int = 2, noise: float = 0.1, spread: float = 0.5, level: float = 70.0
) -> Tried:
    """Forty tasks; `noise` lies between seeds, `spread` in the rest."""
    generator = np.random.default_rng(7)
    right = np.full((seeds, 40), level)
    between = np.linspace(-noise, noise, seeds)[:, None]
    left = right + shift + between + generator.normal(0, spread, (seeds, 40))
    return Tried(Pairing(left, right, tuple(range(seeds)), ("t",) * 40, (10_000,) * 40), 0)


def test_verdict_and_interval_are_one_inference_at_every_look():
    exceeds = clause("exceeds b on exact_match by 1")
    for seeds in (2, 3, 4, 5):
        for shift in np.linspace(0.8, 8.0, 25):
            (ruling,) = rulings(exceeds, [tried(float(shift), seeds)], FIVE)
            low, _ = ruling.comparison.interval(1 - 2 * ruling.level)
            assert ruling.level == look_level(0.05, seeds, 5)
            assert (ruling.answer == "supported") == (low > 1), (seeds, shift)


def test_a_look_is_stricter_than_a_study_that_planned_no_more():
    comparison = compare(np.random.default_rng(0).normal(3.0, 1.0, (3, 12)))
    for one in (
        EQUAL,
        clause("exceeds b on exact_match by 1"),
        clause("is lower than b on exact_match by 1"),
    ):
        for test in (p_support, p_refute):
            assert test(one, comparison, FIVE) >= test(one, comparison)
    outside = min(comparison.p_exceeds(2.0), comparison.p_below(-2.0))
    assert p_refute(EQUAL, comparison, FIVE) == pytest.approx(2 * FIVE.p_value(outside, comparison))


def test_what_is_clear_is_settled_and_what_seeds_could_turn_is_not():
    exceeds = clause("exceeds b on exact_match by 1")
    answers = [
        rulings(exceeds, [tried(shift, 3, noise)], FIVE)[0]
        for shift, noise in ((9, 0.1), (1.5, 1), (-9, 0.1))
    ]
    assert [one.answer for one in answers] == ["supported", "undecided", "refuted"]
    assert [one.settled for one in answers] == [True, False, True]
    assert rulings(exceeds, [tried(1.5, 5, 1.0)], FIVE)[0].settled


def test_what_no_further_seed_can_decide_is_left_open():
    """Tasks carry the variance: five seeds would know no more than three."""
    generator = np.random.default_rng(1)
    right = np.full((3, 12), 50.0)
    left = right + generator.normal(0, 12, (1, 12)) + generator.normal(0, 0.2, (3, 12))
    one = Tried(Pairing(left, right, (0, 1, 2), ("t",) * 12, (10_000,) * 12), 0)
    (ruling,) = rulings(EQUAL, [one], FIVE)
    assert (ruling.answer, ruling.settled) == ("undecided", True)


@pytest.mark.parametrize("verb", ["equals", "exceeds"])
def test_simulated_studies_end_as_the_rulings_of_reports_have_them_end(verb: str):
    plan, count = Plan(World(1, 2, 3), 5, 6), 25
    claim = next(one for one in plan.claims(4) if one[0] == verb)
    found = run(plan, claim, count, np.random.default_rng(7))
    matrices, _ = plan.world.draw(count, plan.seeds, plan.tasks, INSTANCES, np.random.default_rng(7))
    words = f"within {claim[1]}" if verb == "equals" else f"by {claim[1]}"
    for place, matrix in enumerate(matrices + claim[2]):
        assert WORDS[_rule(verb, words, matrix)[0]] == found.whole[place]
        for seeds in range(2, plan.seeds + 1):
            answer, settled = _rule(verb, words, matrix[:seeds], FIVE)
            if settled:
                break
        assert (WORDS[answer], seeds) == (found.stopped[place], found.seeds[place])
    assert len(set(found.seeds)) > 1


WORDS = {"supported": 1, "undecided": 0, "refuted": -1}


def _rule(verb: str, words: str, matrix: np.ndarray, looks: Looks | None = None) -> tuple[str, bool]:
    """Rule on differences in nats: these have neither floor nor ceiling."""
    seeds, tasks = matrix.shape
    names, counts = tuple(map(str, range(tasks))), (INSTANCES,) * tasks
    pairing = Pairing(matrix, np.zeros_like(matrix), tuple(range(seeds)), names, counts, percent=False)
    claim = clause(f"{verb} b on reference_log_likelihood {words}")
    (ruling,) = rulings(claim, [Tried(pairing, 0)], looks)
    return ruling.answer, ruling.settled


def test_holm_goes_over_p_values_that_hold_over_all_looks():
    places = [tried(0.0, 3), tried(8.0, 3)]
    found = rulings(EQUAL, places, FIVE)
    assert [one.answer for one in found] == ["supported", "refuted"]
    assert found[0].p_support == pytest.approx(2 * p_support(EQUAL, found[0].comparison, FIVE))


def test_one_seed_is_no_look_and_single_tasks_wait_for_all_seeds():
    pool = [replace(tried(0.0, 3), reference=place) for place in range(3)]
    found = rulings(EQUAL, [tried(0.0, 1), *pool], FIVE)
    assert (found[0].answer, found[0].reason, found[0].settled) == ("undecided", "one seed", False)
    share = clause("equals b on exact_match within 2 for 90 % of tasks")
    (early,) = rulings(share, [tried(0.0, 3)], FIVE)
    assert (early.answer, early.reason, early.settled) == ("undecided", WAITS, False)
    (late,) = rulings(share, [tried(0.0, 5)], FIVE)
    assert (late.answer, late.settled) == ("supported", True)
    assert late.p_support == rulings(share, [tried(0.0, 5)])[0].p_support


def test_what_has_no_seeds_is_the_same_at_every_look():
    one = replace(tried(8.0, 1), seedless=True)
    exceeds: Clause = clause("exceeds b on exact_match by 1")
    early, alone = rulings(exceeds, [one], FIVE)[0], rulings(exceeds, [one])[0]
    assert (early.p_support, early.level, early.settled) == (alone.p_support, 0.05, True)


def test_what_says_nothing_is_settled_where_every_seed_says_so():
    same = tried(0.0, 3, noise=0.0, spread=0.0, level=0.0)
    (ruling,) = rulings(EQUAL, [same], FIVE)
    assert (ruling.answer, ruling.settled) == ("uninformative", True)
    left = same.pairing.left.copy()
    left[0, 0], left[1, 0] = 2.0, -2.0  # the mean stands at the floor, its seeds do not
    moved = replace(same, pairing=replace(same.pairing, left=left))
    (ruling,) = rulings(EQUAL, [moved], FIVE)
    assert (ruling.answer, ruling.settled) == ("uninformative", False)


@pytest.mark.parametrize("verb", ["exceeds", "equals"])
def test_each_side_of_an_outlook_stands_at_its_own_step(verb: str):
    """Holm divides the level of support and that of refutation by how far each has come, which differ."""
    claim = EQUAL if verb == "equals" else clause("exceeds b on exact_match by 1")
    one = tried(1.2, 3, 1.0)
    comparison = compare(one.pairing.left - one.pairing.right, floor=one.pairing.floor)
    plain, support, refute = (
        FIVE.outlook(claim, one, comparison, steps) for steps in ((1, 1), (50, 1), (1, 50))
    )
    assert support.supports < plain.supports
    assert support.refutes == plain.refutes
    assert refute.refutes < plain.refutes
    assert refute.supports == plain.supports
