"""Templates as a crossed effect: paired between two sides, and an interval that holds for other wordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.metrics import Scores
from instruct_ablate.report.statistics.comparison import compare
from instruct_ablate.report.statistics.paired import Pairing, pair
from instruct_ablate.report.statistics.power import Design, detectable
from instruct_ablate.report.statistics.templates import crossed, template_effects
from instruct_ablate.report.statistics.variance.components import mean_squares
from instruct_ablate.report.statistics.variance.error import error_of
from tests.report.cells import make_scores
from tests.report.statistics.worlds import within_bound

RUNS = 4000
# Standard deviations of a difference: between seeds, tasks, templates, templates by task, and in the rest.
WORLDS = [
    (1.5, 4.0, 2.0, 3.0, 3.0),
    (0.0, 4.0, 0.0, 4.0, 3.0),
    (1.0, 1.0, 3.0, 1.0, 3.0),
    (0.5, 3.0, 0.0, 0.0, 3.0),
]


def drawn(world: tuple[float, ...], seeds: int, tasks: int, templates: int) -> np.ndarray:
    """Draw differences [runs, seeds, tasks, templates] around zero."""
    generator = np.random.default_rng([seeds, tasks, templates])
    seed, task, template, both, rest = world
    shapes = [
        (seeds, 1, 1),
        (1, tasks, 1),
        (1, 1, templates),
        (1, tasks, templates),
        (seeds, tasks, templates),
    ]
    parts = zip((seed, task, template, both, rest), shapes, strict=True)
    return np.asarray(sum(generator.normal(0, sd, (RUNS, *shape)) for sd, shape in parts))


@pytest.mark.parametrize(("seeds", "tasks", "templates"), [(3, 12, 12), (2, 12, 3), (3, 30, 5), (3, 12, 2)])
def test_the_interval_of_a_mean_over_templates_covers_the_mean_over_all_wordings(
    seeds: int, tasks: int, templates: int
) -> None:
    for world in WORLDS:
        every = drawn(world, seeds, tasks, templates)
        squares = mean_squares(every.mean(axis=-1))
        effect = crossed(every.mean(axis=1).swapaxes(-1, -2))
        covered = np.mean(np.abs(squares.mean) <= error_of(squares, crossed=(effect,)).half_width(0.05))
        assert covered >= 0.93, world
        assert within_bound(1 - covered, 0.055, RUNS), world


def test_taken_as_fixed_they_would_be_rash() -> None:
    """Why templates are random: a difference that hangs on the wording passes for one that holds."""
    every = drawn((0.5, 1.0, 3.0, 1.0, 1.0), 3, 30, 5)
    squares = mean_squares(every.mean(axis=-1))
    assert np.mean(np.abs(squares.mean) <= error_of(squares).half_width(0.05)) < 0.6


def test_templates_alone_are_a_t_test_over_them() -> None:
    """Where all but nothing else varies the interval is Student's over the templates' differences."""
    effects = np.repeat(np.array([[1.0], [2.0], [4.0], [3.0]]), 6, axis=1)
    little = np.random.default_rng(0).normal(0, 1e-4, (2, 6))
    found = compare(effects.mean(axis=0) + little - little.mean(), templates=(effects,))
    low, high = stats.ttest_1samp(effects[:, 0], 0).confidence_interval(0.95)
    assert found.interval95 == pytest.approx((low, high), rel=1e-6)
    assert found.p_difference == pytest.approx(stats.ttest_1samp(effects[:, 0], 0).pvalue, rel=1e-6)


def test_what_a_design_finds_is_no_less_than_its_templates_let_it() -> None:
    generator = np.random.default_rng(0)
    matrix, effects = generator.normal(0, 1, (3, 12)), generator.normal(0, 3, (4, 1)) + np.zeros((4, 12))
    plain, over = compare(matrix), compare(matrix, templates=(effects,))
    assert plain.design == Design(plain.components, 3, 12)
    assert over.error > plain.error
    assert over.design.error > plain.design.error
    assert detectable(over.design) > detectable(plain.design)


def side(by_template: dict[str, dict[int, float]]) -> dict[str, dict[int, Scores]]:
    return {
        name: {seed: make_scores(value) for seed, value in own.items()} for name, own in by_template.items()
    }


OURS = side({"a": {0: 50.0, 1: 60.0}, "b": {0: 70.0, 1: 70.0}})
THEIRS = side({"b": {0: 40.0, 1: 40.0}, "a": {0: 45.0, 1: 45.0}})


def paired() -> Pairing:
    mean = {seed: make_scores(60.0) for seed in (0, 1)}
    found = pair(mean, mean, "exact_match")
    assert found is not None
    return found


def test_both_sides_stand_under_the_same_template() -> None:
    (effects,) = template_effects(paired(), (OURS, THEIRS), "exact_match")
    assert effects.tolist() == [[10.0], [30.0]]


def test_one_template_alone_stands_against_each_of_the_others() -> None:
    assert [one.tolist() for one in template_effects(paired(), (OURS, {}), "exact_match")] == [
        [[55.0], [70.0]]
    ]
    assert template_effects(paired(), ({}, {}), "exact_match") == ()


def test_different_sets_are_samples_of_their_own() -> None:
    other = side({"c": {0: 1.0}, "d": {0: 2.0}})
    ours, theirs = template_effects(paired(), (OURS, other), "exact_match")
    assert (ours.tolist(), theirs.tolist()) == ([[55.0], [70.0]], [[1.0], [2.0]]), (
        "no seeds: the one there is"
    )


def test_what_is_not_defined_under_a_template_gives_no_interval() -> None:
    lacking = {name: {0: replace(own[0], tasks=own[0].tasks[1:])} for name, own in OURS.items()}
    (effects,) = template_effects(paired(), (lacking, {}), "exact_match")
    assert np.isnan(effects).all()
