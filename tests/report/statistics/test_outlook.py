"""Outlook: chances of the whole grid's verdict keep their word, and studies that stop on them agree with it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.report.statistics.outlook import Bound, Outlook, chances
from instruct_ablate.report.statistics.variance.components import Squares, mean_squares
from instruct_ablate.report.statistics.variance.error import error_of
from tests.report.statistics.sequences import (
    QUIET,
    SEEDS_ALONE,
    SEEDY,
    SIZES,
    TYPICAL,
    Outcome,
    Plan,
    run,
    verdicts,
)


def mix(count: int, seeds: tuple[int, ...], tasks: tuple[int, ...]) -> list[Outcome]:
    """The stated mix: three worlds, claims that hold by 5, 8 and 12 standard errors of the whole grid."""
    generator, found = np.random.default_rng(0), []
    for world in (TYPICAL, QUIET, SEEDY):
        for plan in (Plan(world, own, units) for own in seeds for units in tasks):
            for size in SIZES:
                found += [run(plan, claim, count, generator) for claim in plan.claims(size)]
    return found


def check(found: list[Outcome]) -> None:
    assert min(one.power for one in found) >= 0.95
    assert min(one.agreement for one in found) >= 0.95
    assert np.mean([one.saved for one in found]) >= 0.4


def test_the_whole_grids_verdict_with_two_fifths_fewer_cells():
    check(mix(400, (5,), (12,)))


@pytest.mark.slow
def test_the_whole_grids_verdict_with_two_fifths_fewer_cells_at_full_size():
    check(mix(2_000, (5, 8), (12, 57)))


def test_where_the_whole_grid_decides_little_stopping_costs_verdicts():
    """Elsewhere: half of the power, or all of the variance between seeds."""
    generator = np.random.default_rng(2)
    weak = run(Plan(TYPICAL, 5, 12), ("exceeds", 0.0, 2 * Plan(TYPICAL, 5, 12).error), 1_000, generator)
    assert 0.6 < weak.agreement < 0.95
    alone = Plan(SEEDS_ALONE, 5, 12)
    assert run(alone, ("exceeds", 0.0, 8 * alone.error), 1_000, generator).agreement >= 0.95


def test_nothing_is_stopped_for_what_more_seeds_may_decide():
    plan = Plan(SEEDS_ALONE, 5, 12)
    found = run(plan, ("exceeds", 0.0, 0.0), 1_000, np.random.default_rng(3))
    assert np.mean(found.whole == found.stopped) >= 0.9
    assert found.saved < 0.3


@pytest.mark.parametrize(("verb", "margin", "truth"), [("exceeds", 0.0, 3.0), ("equals", 4.0, 0.5)])
def test_chances_keep_their_word(verb: str, margin: float, truth: float):
    generator, count = np.random.default_rng(4), 4_000
    matrices, floor = TYPICAL.draw(count, 8, 30, 100, generator)
    matrices += truth
    support, _ = chances(Bound(verb, margin, 0.05, 0.05), mean_squares(matrices[:, :4]), floor, 8)
    half = 2 if verb == "equals" else 1
    end = verdicts(verb, margin, mean_squares(matrices), floor, [0.05, 0.05 / half])
    sure = support >= 0.9
    assert sure.sum() > 100
    assert np.mean(end[sure] == 1) >= 0.9
    assert np.mean(support) == pytest.approx(np.mean(end == 1), abs=0.08)


def test_is_lower_is_exceeds_the_other_way_round():
    matrices, floor = TYPICAL.draw(50, 3, 12, 100, np.random.default_rng(5))
    over = chances(Bound("exceeds", 1.0, 0.05, 0.02), mean_squares(matrices), floor, 6)
    under = chances(Bound("is lower", 1.0, 0.05, 0.02), mean_squares(-matrices), floor, 6)
    np.testing.assert_allclose(over, under, atol=1e-12)


def test_seeds_that_agree_to_the_digit_leave_no_doubt():
    squares = mean_squares(np.full((2, 12), 3.0))
    found = chances(Bound("exceeds", 1.0, 0.05, 0.05), squares, None, 5)
    assert [float(one) for one in found] == pytest.approx([1.0, 0.0], abs=1e-9)


@pytest.mark.parametrize(
    ("supports", "refutes", "answer", "settles"),
    [
        (0.95, 0.0, "supported", True), (0.8, 0.0, "supported", False), (0.0, 0.95, "refuted", True),
        (0.95, 0.0, "refuted", False), (0.02, 0.01, "undecided", True),
        (0.9, 0.0, "supported", True), (0.0, 0.9, "refuted", True), (0.05, 0.0, "undecided", True),
        (0.02, 0.2, "undecided", False),
    ],
)  # fmt: skip
def test_what_settles(supports: float, refutes: float, answer: str, settles: bool):
    assert Outlook(supports, refutes).settles(answer) is settles


def test_chances_are_students_law_of_what_the_other_seeds_add():
    squares = Squares(2, 4, np.array(3.0), np.array(2.0), np.array(0.0), np.array(0.0))
    wide = stats.t.ppf(0.95, 4) * (2.0 / 20) ** 0.5  # five seeds of four tasks
    scale = (2.0 / 4 * (1 / 2 - 1 / 5)) ** 0.5
    support, refute = chances(Bound("exceeds", 1.0, 0.05, 0.05), squares, None, 5)
    assert float(support) == pytest.approx(stats.t.sf((1 + wide - 3) / scale, 1))
    assert float(refute) == pytest.approx(stats.t.cdf((1 - wide - 3) / scale, 1))


@pytest.mark.parametrize(("verb", "level"), [("equals", 0.05), ("exceeds", 0.1), ("is lower", 0.1)])
def test_equality_is_refuted_on_either_side_and_a_bound_on_one(verb: str, level: float):
    tasks = np.array([1.0, 2.0, 4.0, 5.0])
    half = float(error_of(mean_squares(np.tile(tasks, (5, 1)))).half_width(level))
    squares = mean_squares(np.tile(tasks, (2, 1)))  # seeds alike: the end is certain
    for beyond, chance in ((0.01, 1.0), (-0.01, 0.0)):
        margin = {"equals": 3 - half, "exceeds": 3 + half, "is lower": half - 3}[verb]
        margin += -beyond if verb == "equals" else beyond
        _, refute = chances(Bound(verb, margin, 0.05, 0.05), squares, None, 5)
        assert float(refute) == pytest.approx(chance, abs=1e-6)


def test_equality_is_shown_between_the_bounds_and_refuted_beyond_either():
    squares = Squares(2, 4, np.array(0.5), np.array(2.0), np.array(0.0), np.array(0.0))
    error, scale = (2.0 / 20) ** 0.5, (2.0 / 4 * (1 / 2 - 1 / 5)) ** 0.5
    one, two = (stats.t.ppf(level, 4) * error for level in (0.95, 0.975))
    others = stats.t(1, 0.5, scale)
    support, refute = chances(Bound("equals", 2.0, 0.05, 0.05), squares, None, 5)
    assert float(support) == pytest.approx(others.cdf(2 - one) - others.cdf(one - 2))
    assert float(refute) == pytest.approx(others.cdf(-2 - two) + others.sf(2 + two))
