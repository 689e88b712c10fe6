"""Power: the numbers it names keep their word in simulation, one fewer would not do, and the textbook agrees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from instruct_ablate.report.statistics.power import (
    Aim,
    Design,
    _by_chance,
    detectable,
    equal_margin,
    needed_for,
    power,
    smallest,
)
from instruct_ablate.report.statistics.variance.components import Components
from instruct_ablate.report.statistics.variance.error import Crossed
from tests.left_out import left_out
from tests.report.statistics.worlds import World

RUNS = 10_000
WORLD = World(0.4, 3, 3, 20)
INSTANCES = 100
PARTS = Components(0.16, 9 + 4, 9)
DESIGN = Design(PARTS, 3, 12, floor=4)


def simulated(design: Design, aim: Aim, seed: int = 0) -> float:
    """How often the very test of verdicts shows the aim, in studies drawn from the components."""
    generator = np.random.default_rng(seed)
    means, error = WORLD.errors(RUNS, design.seeds, design.tasks, INSTANCES, generator)
    means, half = means + aim.truth, error.half_width(2 * aim.level)
    if aim.verb == "equals":
        return float(np.mean((means - half > -aim.margin) & (means + half < aim.margin)))
    return float(np.mean(means - half > aim.margin))


AIMS = [
    Aim("equals", 2.5),
    Aim("equals", 2.5, truth=0.5),
    Aim("equals", 2.5, level=0.05 / 4),  # Holm's first step among four
    Aim("exceeds", 1.0, truth=3.0),
]


@pytest.mark.parametrize("aim", AIMS)
def test_the_advised_numbers_keep_their_word(aim: Aim):
    more = needed_for(DESIGN, aim)
    assert more.tasks is not None
    enough = replace(DESIGN, tasks=more.tasks)
    assert simulated(enough, aim) == pytest.approx(0.8, abs=0.05)
    assert simulated(enough, aim) == pytest.approx(power(enough, aim), abs=0.03)


def test_more_seeds_keep_their_word():
    aim, design = Aim("equals", 3.0), Design(PARTS, 2, 30, floor=4)
    more = needed_for(design, aim)
    assert more.seeds is not None
    enough = replace(design, seeds=more.seeds)
    assert power(replace(enough, seeds=more.seeds - 1), aim) < 0.8 or more.seeds == 3
    assert simulated(enough, aim) == pytest.approx(power(enough, aim), abs=0.03)


@pytest.mark.parametrize("design", [DESIGN, Design(PARTS, 5, 57, floor=4), Design(PARTS, 2, 30, floor=4)])
def test_the_noise_floor_keeps_its_word(design: Design):
    margin = equal_margin(design)
    assert simulated(design, Aim("equals", margin)) == pytest.approx(0.8, abs=0.03)
    found = simulated(design, Aim("exceeds", 0.0, truth=detectable(design), level=0.025))
    assert found == pytest.approx(0.8, abs=0.03)


def test_the_named_number_is_the_smallest_that_decides():
    aim = Aim("equals", 2.5)
    tasks = needed_for(DESIGN, aim).tasks
    assert tasks is not None
    assert power(replace(DESIGN, tasks=tasks), aim) >= 0.8 > power(replace(DESIGN, tasks=tasks - 1), aim)


def test_many_tasks_have_the_textbook_power_of_two_one_sided_tests():
    design = Design(Components(0.0, 16.0, 0.0), 1, 4000)
    se, z = 4 / 4000**0.5, stats.norm.ppf(0.95)
    for margin, truth in ((0.2, 0.0), (0.2, 0.05)):
        chance = stats.norm.cdf((margin - truth) / se - z) + stats.norm.cdf((margin + truth) / se - z) - 1
        assert power(design, Aim("equals", margin, truth)) == pytest.approx(chance, abs=0.005)


def test_one_row_of_tasks_agrees_with_statsmodels_noncentral_t():
    for tasks in (10, 40):
        design = Design(Components(0.0, 4.0, 0.0), 1, tasks)
        exact = TTestPower().power(effect_size=0.4, nobs=tasks, alpha=0.05, alternative="larger")
        assert power(design, Aim("exceeds", 0.0, truth=0.8)) == pytest.approx(exact, abs=0.01)
        two = TTestPower().solve_power(nobs=tasks, alpha=0.05, power=0.8)
        assert detectable(design) == pytest.approx(2 * two, rel=0.01)


def test_the_old_advice_was_short():
    """z at the power instead of half of the rest: the tasks it named have power 0.60, not 0.80."""
    design = Design(Components(0.0, 16.0, 0.0), 1, 10)
    old = next(n for n in range(11, 500) if 4 / n**0.5 * (stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) <= 2)
    assert power(replace(design, tasks=old), Aim("equals", 2.0)) < 0.65
    tasks = needed_for(design, Aim("equals", 2.0)).tasks
    assert tasks is not None
    assert tasks > 1.3 * old


def test_more_claims_take_more_tasks():
    alone, four = (needed_for(DESIGN, Aim("equals", 2.5, level=level)).tasks for level in (0.05, 0.05 / 4))
    assert alone is not None
    assert four is not None
    assert four > alone


def test_seeds_that_vary_cannot_be_made_up_for_by_tasks():
    assert needed_for(Design(Components(9.0, 1.0, 1.0), 3, 12), Aim("equals", 2.0)).tasks is None
    assert needed_for(DESIGN, Aim("exceeds", 2.0, truth=1.0)).tasks is None


def test_unknown_components_have_no_advice():
    unknown = Design(Components(float("nan"), 4.0, 0.0), 1, 12)
    assert needed_for(unknown, Aim("equals", 2.0)) == needed_for(
        replace(unknown, tasks=1), Aim("equals", 2.0)
    )
    assert np.isnan(detectable(unknown))
    assert np.isnan(equal_margin(unknown))


@pytest.mark.parametrize(
    ("aim", "chance"),
    [
        (Aim("equals", 1.0), 1.0),
        (Aim("equals", 1.0, truth=2.0), 0.0),
        (Aim("equals", 1.0, truth=-2.0), 0.0),
        (Aim("exceeds", 1.0, truth=2.0), 1.0),
        (Aim("exceeds", 1.0, truth=0.5), 0.0),
        (Aim("is lower", 1.0, truth=-2.0), 1.0),
        (Aim("is lower", 1.0, truth=2.0), 0.0),
    ],
)
def test_without_any_variance_the_truth_is_shown_for_sure(aim: Aim, chance: float):
    assert power(Design(Components(0.0, 0.0, 0.0), 3, 12), aim) == chance


def test_the_true_error_is_that_of_the_components():
    assert Design(Components(0.5, 3.0, 6.0), 2, 12).error == pytest.approx((0.5 / 2 + 3 / 12 + 6 / 24) ** 0.5)
    assert Design(Components(0.0, 1.0, 2.0), 2, 12, floor=5.0).error == pytest.approx((5 / 12) ** 0.5)
    assert Design(PARTS, 3, 2).known
    assert not Design(PARTS, 3, 1).known


@pytest.mark.parametrize("least", range(2, 12))
def test_the_first_number_that_decides_is_found_by_halving(least: int):
    asked = []

    def decides(number: int) -> bool:
        asked.append(number)
        return number >= least

    assert smallest(decides, 2, 11) == least
    assert len(asked) <= 6
    assert set(asked) <= set(range(2, 12))


def test_no_number_decides_or_the_first_one_does():
    assert smallest(lambda number: False, 2, 11) is None
    assert smallest(lambda number: number >= 12, 2, 11) is None
    assert smallest(lambda number: True, 5, 5) == 5
    assert smallest(lambda number: True, 6, 5) is None
    assert smallest(lambda number: number == 2, 2, 11) == 2


def test_a_further_effect_is_drawn_around_what_was_found():
    one = Crossed(4.0, 1.0, 3.0)
    first, second = _by_chance(one, 0), _by_chance(one, 1)
    assert float(np.mean(first.square)) == pytest.approx(4.0, rel=0.02)
    assert float(np.mean(second.square)) == pytest.approx(4.0, rel=0.02)
    assert abs(np.corrcoef(first.square, second.square)[0, 1]) < 0.1, "each by itself"
    assert (first.rest, first.freedom) == (1.0, 3.0)


def test_what_is_left_out():
    assert left_out(Design) == {"floor": 0.0}
    assert left_out(Aim) == {"truth": 0.0, "level": 0.05}
