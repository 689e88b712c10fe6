"""Comparisons of one study: floors and pooled seeds go with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from instruct_ablate.report.statistics.paired import Pairing
from instruct_ablate.report.statistics.tried import Tried, compare_all
from tests.left_out import left_out


def pairing(seeds: int, generator: np.random.Generator) -> Pairing:
    right = generator.uniform(60, 80, (1, 12)) + np.zeros((seeds, 1))
    left = right + generator.normal(0, 1, (seeds, 12)) + generator.normal(0, 1, (seeds, 1))
    return Pairing(left, right, tuple(range(seeds)), tuple(f"t{i}" for i in range(12)), (100,) * 12)


def test_every_comparison_has_its_floor_and_one_seed_takes_the_others_variance():
    generator = np.random.default_rng(0)
    tried = [Tried(pairing(seeds, generator), reference=index) for index, seeds in enumerate((3, 3, 3, 1))]
    found = compare_all(tried)
    assert all(comparison.floor is not None for comparison in found)
    assert [comparison.seeds_from for comparison in found] == ["own", "own", "own", "pooled"]
    assert [one.seeds_from for one in compare_all(tried[2:])] == ["own", "left out"]
    assert compare_all([Tried(pairing(1, generator), 0, seedless=True)])[0].seeds_from == "none"


def test_why_nothing_could_be_seen():
    flat = np.zeros((2, 12))
    at_floor = Pairing(flat, flat, (0, 1), tuple("abcdefghijkl"), (100,) * 12)
    assert Tried(at_floor, 0).uninformative == "both sides stand at the floor"
    assert Tried(pairing(2, np.random.default_rng(1)), 0).uninformative is None


def test_where_nothing_moves_no_seeds_are_measured():
    generator = np.random.default_rng(2)
    still = np.zeros((3, 12))
    floor = Pairing(still, still, (0, 1, 2), tuple("abcdefghijkl"), (100,) * 12)
    tried = [*(Tried(floor, index) for index in range(5)), Tried(pairing(1, generator), 9)]
    assert compare_all(tried)[-1].one_seed


def test_a_metric_that_is_no_percentage_has_no_floor_and_no_ceiling():
    wide = Pairing(
        np.full((2, 12), 900.0) + np.arange(12) * 9.0,
        np.zeros((2, 12)),
        (0, 1),
        ("t",) * 12,
        (9,) * 12,
        percent=False,
    )
    one = Tried(wide, 0)
    assert one.uninformative is None
    (found,) = compare_all([one])
    assert found.interval95[0] > 100
    assert found.floor is not None
    assert found.floor.variance == 0


def test_alike_differences_without_a_floor_measure_no_seeds_for_others():
    generator = np.random.default_rng(2)
    others = [replace(pairing(seeds, generator), percent=False) for seeds in (3, 3, 1)]
    alike = replace(others[0], left=others[0].right)
    with_it, without = (
        compare_all([Tried(one, index) for index, one in enumerate(every)])
        for every in ((alike, *others), others)
    )
    assert with_it[0].steady
    assert with_it[-1].seeds_from == "pooled"
    assert with_it[-1].error == without[-1].error


def test_what_stands_still_in_every_seed_stays_so():
    still, moved = np.zeros((2, 12)), np.array([[0.0] * 12, [50.0] * 12])
    tasks = tuple("abcdefghijkl")
    assert Tried(Pairing(still, still, (0, 1), tasks, (100,) * 12), 0).stays_uninformative
    assert not Tried(Pairing(moved, moved, (0, 1), tasks, (100,) * 12), 0).stays_uninformative
    assert not Tried(Pairing(still, still, (0, 1), tasks, (100,) * 12, percent=False), 0).stays_uninformative


def test_what_is_left_out():
    assert left_out(Tried) == {"seedless": False, "untrained": False}


def test_templates_of_a_pair_widen_its_interval():
    plain = pairing(3, np.random.default_rng(3))
    wordings = np.array([[-6.0], [1.0], [5.0]]) + np.random.default_rng(4).normal(0, 1, (3, 12))
    found, over = compare_all([Tried(plain, 0), Tried(replace(plain, templates=(wordings,)), 1)])
    assert over.mean == found.mean
    assert over.error > found.error
