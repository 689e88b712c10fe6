"""The proposed size: the cheapest of all that have the power, which it keeps in simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from instruct_ablate.report.statistics.allocation import INSTANCES, SEEDS, Need, Price, propose, weakest
from instruct_ablate.report.statistics.planned import Planned
from instruct_ablate.report.statistics.power import Aim, Design
from instruct_ablate.report.statistics.variance.components import Components
from tests.left_out import left_out
from tests.report.statistics.worlds import World

# Tasks by 3 points, instances by 30: of a task's variance at 100 instances, 9 are the instances'.
NEED = Need(Aim("equals", 3.0), Design(Components(0.25, 9 + 9, 4), 3, 12, 9), 100)
PRICE = Price(seed=600, instance=0.05, once=10, instance_once=0.01)
MOST = Planned(20, 119, 100)


def test_nothing_cheaper_has_the_power():
    best = propose([NEED], PRICE, MOST)
    assert best is not None
    for seeds in SEEDS:
        for number in (n for n in INSTANCES if n <= 100):
            cheaper = [
                size
                for size in (Planned(seeds, tasks, number) for tasks in range(2, 120, 3))
                if PRICE.of(size) < PRICE.of(best)
            ]
            assert all(NEED.power(size) < 0.8 for size in cheaper[-1:]), (seeds, number)


def test_the_proposal_keeps_its_word_in_simulation():
    best = propose([NEED], PRICE, MOST)
    assert best is not None
    ratio = 100 / best.instances
    world = World(0.5, 3, (4 * max(1, ratio)) ** 0.5, 30)
    means, error = world.errors(20_000, best.seeds, best.tasks, best.instances, np.random.default_rng(0))
    assert np.mean(np.abs(means) + error.half_width(0.10) < 3.0) == pytest.approx(0.8, abs=0.05)


def test_dear_seeds_are_few_and_dear_instances_too():
    seeds_cost = propose([NEED], Price(1e5, 0.01), MOST)
    instances_cost = propose([NEED], Price(1.0, 5.0), MOST)
    assert seeds_cost is not None
    assert instances_cost is not None
    assert seeds_cost.seeds <= instances_cost.seeds
    assert instances_cost.tasks * instances_cost.instances <= seeds_cost.tasks * seeds_cost.instances


def test_fewer_instances_have_more_noise_and_more_have_no_less_of_the_rest():
    few, many = (NEED.at(Planned(3, 12, number)) for number in (25, 400))
    assert (few.parts.unit, few.parts.rest, few.floor) == (9 + 36, 16, 36)
    assert (many.parts.unit, many.parts.rest, many.floor) == (9 + 9 / 4, 4, 9 / 4)


def test_all_claims_count_and_a_claim_on_single_tasks_asks_for_tasks():
    single = Need(None, NEED.design, 100, least_tasks=29)
    strict = replace(NEED, aim=Aim("equals", 3.0, level=0.01))
    both, alone = propose([NEED, single, strict], PRICE, MOST), propose([NEED], PRICE, MOST)
    assert both is not None
    assert alone is not None
    assert both.tasks >= 29
    assert PRICE.of(both) > PRICE.of(alone)
    assert weakest([NEED, single], Planned(20, 28, 100)) == 0
    assert propose([NEED], PRICE, Planned(20, 4, 10)) is None


def test_two_tasks_are_the_least_and_the_most_there_is_the_last():
    def need(tasks: int) -> Need:
        return Need(None, NEED.design, 100, tasks)

    assert propose([need(1)], PRICE, MOST).tasks == 2
    assert propose([need(2)], PRICE, MOST).tasks == 2
    assert propose([need(3)], PRICE, MOST).tasks == 3
    assert propose([need(2), need(119)], PRICE, MOST).tasks == 119
    assert propose([need(120)], PRICE, MOST) is None
    found = propose([need(2)], PRICE, Planned(20, 119, 7))
    assert (found.seeds, found.instances) == (min(SEEDS), min(n for n in (*INSTANCES, 7) if n <= 7))


def test_what_a_size_costs():
    price = Price(seed=100.0, instance=2.0, once=7.0, instance_once=0.5)
    assert price.of(Planned(3, 4, 10)) == 3 * (100 + 2 * 40) + 7 + 0.5 * 40
    assert Price(10.0, 1.0).of(Planned(1, 1, 1)) == 11.0


def test_a_claim_on_single_tasks_can_be_shown_from_its_least_number_on():
    need = Need(None, NEED.design, 100, 5)
    assert [need.power(Planned(3, tasks, 100)) for tasks in (4, 5, 6)] == [0.0, 1.0, 1.0]
    assert weakest([need, Need(None, NEED.design, 100, 7)], Planned(3, 6, 100)) == 0.0


def test_what_is_left_out():
    assert left_out(Need) == {"least_tasks": 2}
    assert left_out(Price) == {"once": 0.0, "instance_once": 0.0}
