"""Power: the numbers it names would decide, one fewer would not."""

from __future__ import annotations

import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from instruct_ablate.report.statistics.components import Components
from instruct_ablate.report.statistics.power import error_at, needed, reach

PARTS = Components(mean=0.5, seed=0.2, unit=9.0, rest=6.0, error=1.0, freedom=20.0)


def test_the_named_number_is_the_smallest_that_decides():
    more = needed(PARTS, 1.5, (3, 12))
    assert more.tasks is not None
    assert reach(PARTS, 3, more.tasks, 0.8) <= 1.5 < reach(PARTS, 3, more.tasks - 1, 0.8)


def test_seeds_alone_cannot_decide_what_tasks_leave_open():
    assert needed(PARTS, 1.0, (3, 12)).seeds is None


def test_what_is_on_the_wrong_side_is_never_decided_by_more():
    assert needed(PARTS, -0.1, (3, 12)).tasks is None


def test_what_has_not_decided_is_not_named_as_enough():
    assert needed(PARTS, 50.0, (3, 12)).tasks == 13


def test_agrees_with_statsmodels_for_one_seed_and_many_tasks():
    parts = Components(0.0, 0.0, 4.0, 0.0, 0.5, 15.0)
    exact = TTestPower().solve_power(effect_size=0.3 / 2.0, alpha=0.05, power=0.8, alternative="larger")
    assert needed(parts, 0.3, (1, 10)).tasks == pytest.approx(exact, rel=0.02)


def test_few_seeds_reach_less_than_the_normal_law_says_and_many_as_much():
    normal = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    seeds = Components(0.0, 4.0, 0.1, 0.1, 1.4, 1.0)
    assert reach(seeds, 2, 50, 0.8) > 2 * normal * error_at(seeds, 2, 50)
    assert reach(seeds, 100, 50, 0.8) == pytest.approx(normal * error_at(seeds, 100, 50), rel=0.02)
