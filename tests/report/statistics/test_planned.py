"""A planned design: what it could show, from earlier variances or assumed ones, and that it keeps its word."""

from __future__ import annotations

import numpy as np
import pytest

from instruct_ablate.report.statistics.allocation import Need
from instruct_ablate.report.statistics.planned import Planned, planned_design, planned_line, planned_of
from instruct_ablate.report.statistics.power import Design, detectable
from instruct_ablate.report.statistics.variance.components import Components
from tests.report.statistics.worlds import World


def test_what_is_planned_keeps_its_word_in_simulation():
    design = planned_design(Planned(3, 12, 50), [])
    assert design.parts.unit == pytest.approx(6 + 20)
    world = World(1.5, 6**0.5, 18**0.5, 1000**0.5)
    means, error = world.errors(10_000, 3, 12, 50, np.random.default_rng(0))
    found = np.mean(means + detectable(design) > error.half_width(0.05))
    assert found == pytest.approx(0.8, abs=0.05)


def test_earlier_studies_say_more_than_assumptions():
    earlier = [Design(Components(0.1, 2.0, 1.0), 3, 12), Design(Components(0.3, 4.0, 1.0), 2, 12)]
    assert planned_design(Planned(3, 12, 100), earlier).parts == Components(0.2, 3.0, 1.0)
    line = planned_line(Planned(3, 12, 100), [*earlier, Design(Components(float("nan"), 4.0, 0.0), 1, 12)])
    assert "3 seeds × 12 test tasks of 100 instances: finds a difference of" in line
    assert "measured on 2 comparisons" in line
    assert "assumed: 1.5 between seeds" in planned_line(Planned(3, 12, 100), [])


def test_more_of_everything_finds_less():
    base = detectable(planned_design(Planned(3, 12, 100), []))
    assert detectable(planned_design(Planned(5, 12, 100), [])) < base
    assert detectable(planned_design(Planned(3, 57, 100), [])) < base
    assert detectable(planned_design(Planned(3, 12, 10), [])) > base


def test_one_seed_and_one_task():
    assert "one seed decides nothing; 3 seeds" in planned_line(Planned(1, 12, 100), [])
    assert "1 test task of 100 instances says nothing of other tasks" in planned_line(Planned(3, 1, 100), [])


def test_a_grid_is_what_most_of_its_settings_have():
    tested = Planned(0, 12, 100)
    cells = [(name, seed, tested) for name in "ab" for seed in (0, 1, 2)] + [("c", 0, tested)]
    assert planned_of(cells) == Planned(3, 12, 100)
    assert planned_of([]) is None


def test_more_settings_decide_than_seeds():
    small, large = Planned(0, 12, 100), Planned(0, 57, 100)
    cells = [("a", 0, small), ("a", 1, small), ("b", 0, large), ("c", 0, large)]
    assert planned_of(cells) == Planned(1, 57, 100)


def test_what_is_assumed_of_a_task_depends_on_its_instances():
    for instances, unit, rest in ((100, 16.0, 9.0), (50, 26.0, 18.0), (1000, 7.0, 9.0)):
        design = planned_design(Planned(3, 12, instances), [])
        assert (design.parts.seed, design.parts.rest) == (2.25, rest)
        assert design.parts.unit == pytest.approx(unit)
        assert design.floor == pytest.approx(1000 / instances)
        assert (design.seeds, design.tasks) == (3, 12)


@pytest.mark.parametrize("instances", [3, 100, 400])
def test_plan_and_its_proposals_assume_the_same_of_one_size(instances: int):
    """`plan --decide` scales the assumed design of 100 instances; both lines stand on one screen."""
    size = Planned(5, 4, instances)
    other = Need(None, planned_design(Planned(3, 12, 100), []), 100).at(size)
    own = planned_design(size, [])
    assert (own.seeds, own.tasks) == (other.seeds, other.tasks)
    assert (own.parts.seed, own.parts.unit, own.parts.rest, own.floor) == pytest.approx(
        (other.parts.seed, other.parts.unit, other.parts.rest, other.floor)
    )


def test_two_seeds_and_two_tasks_say_something():
    line = planned_line(Planned(2, 2, 10), [])
    assert line.startswith("noise floor: 2 seeds × 2 test tasks of 10 instances: ")
    assert "decides nothing" not in line
    assert planned_line(Planned(5, 2, 1), []).startswith(
        "noise floor: 5 seeds × 2 test tasks of 1 instance: "
    )
    measured = [Design(Components(4.0, 9.0, 1.0), 2, 12), Design(Components(1.0, 1.0, 1.0), 1, 12)]
    assert planned_line(Planned(3, 12, 100), measured).endswith(
        "deviations measured on 1 comparison of earlier studies: 2.0 between seeds, 3.0 between tasks, 1.0 in the rest"
    )
