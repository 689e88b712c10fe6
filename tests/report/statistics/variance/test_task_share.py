"""Tasks: what was not drawn, and the claim on most single tasks; agreement with scipy's binomial test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.report.statistics.comparison import compare
from instruct_ablate.report.statistics.variance.task_share import (
    inside,
    least_tasks,
    share_within,
    unseen_share,
    vulnerability,
)
from tests.report.statistics.worlds import within_bound


def test_the_share_that_could_be_unseen():
    assert unseen_share(12) == pytest.approx(0.22, abs=0.005)
    assert unseen_share(119) == pytest.approx(0.025, abs=0.001)


def test_few_tasks_leave_a_verdict_vulnerable_and_many_do_not():
    found = vulnerability(0.0, 2.0, 12)
    assert found is not None
    assert found.effect == pytest.approx(2.0 / found.share)
    assert vulnerability(0.0, 2.0, 200) is None
    assert vulnerability(0.0, 2.0, 140) is not None


def test_it_takes_29_tasks_to_speak_of_nine_tenths():
    assert least_tasks() == 29
    assert share_within([0.1] * 28, 2.0).p_support > 0.05 >= share_within([0.1] * 29, 2.0).p_support


def test_agrees_with_the_exact_binomial_test():
    effects = [0.5] * 55 + [9.0] * 2
    found = share_within(effects, 2.0)
    assert (found.within, found.tasks) == (55, 57)
    assert found.p_support == pytest.approx(stats.binomtest(55, 57, 0.9, "greater").pvalue)
    assert found.p_refute == pytest.approx(stats.binomtest(55, 57, 0.9, "less").pvalue)


def test_a_task_at_its_margin_lies_within_whatever_rounding_makes_of_it():
    """Of 100 instances 56 right ones less 54 are 2.0000000000000071 points, of 52 less 50 they are 2."""
    effects = [100.0 * ((number + 2) / 100) - 100.0 * (number / 100) for number in range(99)]
    assert max(effects) > 2.0
    assert share_within(effects, 2.0).within == 99
    assert share_within([-one for one in effects], 2.0).within == 99
    assert not inside(2.01, 2.0)


def heavy(generator: np.random.Generator, tasks: int) -> np.ndarray:
    """A twentieth of all tasks carry 60 points, the others none: the mean is 3, outside a margin of 2."""
    return np.where(generator.random(tasks) < 0.05, 60.0, 0.0) + generator.normal(0, 1, tasks)


@pytest.mark.parametrize("tasks", [12, 57])
def test_a_heavy_tail_misleads_the_mean_but_not_the_share(tasks: int):
    generator, false, shares = np.random.default_rng(0), [], []
    for _ in range(400):
        effects = heavy(generator, tasks)
        found = compare(np.stack([effects, effects + generator.normal(0, 0.1, tasks), effects]))
        low, high = found.interval(0.9)
        false.append(low > -2 and high < 2)
        if false[-1]:
            assert vulnerability(found.mean, 2.0, tasks) is not None  # said beside every one of them
        # A twentieth lies outside, so "at least nine tenths" is true and "at least 96 %" false.
        shares.append(share_within(effects, 4.0, share=0.96).p_support <= 0.05)
    if tasks == 12:
        assert np.mean(false) > 0.3  # no test can see a heavy task that was not drawn
    assert within_bound(float(np.mean(shares)), 0.05, 400)


def test_tasks_that_just_reach_the_level_are_enough():
    assert least_tasks(0.5, 0.25) == 2
    assert least_tasks(0.5, 0.2) == 3
    assert least_tasks(0.04) == 1


def test_no_task_can_do_more_than_a_score_has_points():
    share = unseen_share(30)
    assert vulnerability(0.0, 99.9 * share, 30) is not None
    assert vulnerability(0.0, 100.1 * share, 30) is None
    found = vulnerability(1.0, 2.0, 30)
    assert found is not None
    assert found.effect == pytest.approx((2 - (1 - share) * 1) / share)
    assert vulnerability(-1.0, 2.0, 30) == found, "whatever its sign"


def test_just_the_whole_scale_is_no_effect_that_a_task_can_have_more_than():
    found = vulnerability(0.0, 2.0, 12)
    assert found is not None
    assert vulnerability(0.0, 2.0, 12, whole=found.effect) is None


def test_a_task_at_the_margin_lies_within():
    assert share_within([2.0, -2.0, 2.1, -7.0], 2.0).within == 2
