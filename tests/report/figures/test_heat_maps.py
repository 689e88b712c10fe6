"""Matrices: the numbers in their fields, what stands at the axes, and when there is nothing to draw."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.figures.heat_maps import (
    MOST_COLUMNS,
    by_category,
    heat,
    train_by_test,
    trial_name,
)
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.rows.trials import Trial
from tests.report.cells import make_cell, place


@pytest.fixture
def axes() -> Any:
    return Figure().subplots()


def numbers(axes: Any) -> dict[tuple[int, int], str]:
    """The texts in the fields by column and line."""
    return {text.get_position(): text.get_text() for text in axes.texts}


def labels(axes: Any) -> tuple[list[str], list[str]]:
    down, across = axes.get_yticklabels(), axes.get_xticklabels()
    return [text.get_text() for text in down], [text.get_text() for text in across]


def test_numbers_stand_in_their_fields_and_what_is_not_known_stays_empty(axes):
    heat(axes, np.array([[1.0, 25.04], [np.nan, 99.96]]), (["a", "b"], ["x", "y"]))
    assert numbers(axes) == {(0, 0): "1.0", (1, 0): "25.0", (1, 1): "100.0"}
    assert labels(axes) == (["a", "b"], ["x", "y"])
    assert np.ma.getmaskarray(axes.images[0].get_array()).tolist() == [[False, False], [True, False]]
    assert {(text.get_ha(), text.get_va()) for text in axes.texts} == {("center", "center")}


def test_numbers_are_white_on_dark_fields_and_black_on_light_ones(axes):
    heat(axes, np.array([[0.0, 50.0, 100.0]]), (["a"], ["x", "y", "z"]))
    assert [text.get_color() for text in axes.texts] == ["white", "black", "black"]


def test_train_by_test_has_a_line_a_setting_and_a_column_a_test(axes):
    cells = [
        make_cell(5.0, data_budget=0),
        make_cell(60.0, "original"),
        make_cell(40.0, "delusive"),
        make_cell(30.0, "delusive", instruction="delusive"),
        make_cell(20.0, "delusive", instruction="delusive", seed=1),
    ]
    assert train_by_test(axes, build_rows(cells), find_measure("exact_match"))
    assert labels(axes)[0] == ["original", "delusive"]
    found = {labels(axes)[1][column]: numbers(axes)[column, 0] for column in (0, 1)}
    assert found == {"original": "60.0", "delusive": "40.0"}
    assert numbers(axes)[labels(axes)[1].index("delusive"), 1] == "25.0", "the mean over seeds"
    assert len(axes.texts) == 3
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("tested on", "trained on")
    assert axes.get_title() == "exact match (classification), %"


def test_one_trained_setting_with_two_lists_of_tests_has_a_line_for_each(axes):
    """Two cells were trained alike and both tested on "original": one field cannot have both numbers."""
    alone, both = make_cell(60.0, "original"), make_cell(40.0, "original")
    more = make_cell(30.0, "delusive").blocks
    both = dataclasses.replace(
        both,
        name="both",
        identity="both",
        setting=both.setting.changed(**{"evaluation.instructions": ("original", "delusive")}),
        blocks=(*both.blocks, *more),
    )
    rows = build_rows([alone, both, make_cell(20.0, "original", instruction="simplified")])
    assert train_by_test(axes, rows, find_measure("exact_match"))
    down, across = labels(axes)
    assert sorted(set(down)) == sorted(down)
    told = {(down[line], across[column]): text for (column, line), text in numbers(axes).items()}
    assert sorted(told.values()) == ["20.0", "30.0", "40.0", "60.0"]
    assert len({line for line, _ in told}) == 3


def test_models_tested_in_one_way_only_are_no_matrix(axes):
    cells = [make_cell(60.0), make_cell(50.0, "original", instruction="delusive")]
    assert not train_by_test(axes, build_rows(cells), find_measure("exact_match"))
    assert not train_by_test(axes, [], find_measure("exact_match"))
    assert not axes.images


def test_categories_are_meaned_over_seeds_and_shown_beside_settings(axes):
    cells = [
        make_cell(60.0),
        make_cell(50.0, seed=1),
        make_cell(20.0, instruction="delusive"),
        dataclasses.replace(make_cell(0.0, seed=2), state="failed"),
    ]
    assert by_category(axes, cells, "exact_match")
    assert labels(axes) == (["Logic", "Rewriting"], ["original", "delusive"])
    assert numbers(axes) == {(0, 0): "55.0", (1, 0): "20.0", (0, 1): "0.0", (1, 1): "0.0"}
    assert axes.get_title() == "exact match, %"


def test_categories_are_averaged_over_no_other_axis(axes):
    changes = ({}, {"data_budget": 32}, {"model": "larger"}, {"method": "lora"}, {"lr": 1e-3})
    cells = [make_cell(10.0 * place, **change) for place, change in enumerate(changes)]
    assert by_category(axes, cells, "exact_match")
    shown = {numbers(axes)[column, 0] for column in range(len(changes))}
    assert shown == {"0.0", "10.0", "20.0", "30.0", "40.0"}
    assert len(set(labels(axes)[1])) == len(changes)


@pytest.mark.parametrize("more", [0, 1])
def test_settings_without_room_are_counted_in_the_title(axes, more):
    every = MOST_COLUMNS + more
    cells: list[CellRecord] = [make_cell(50.0, data_budget=budget + 1) for budget in range(every)]
    assert by_category(axes, cells, "exact_match")
    assert len(labels(axes)[1]) == MOST_COLUMNS
    assert axes.get_title().endswith(f"; {MOST_COLUMNS} of {every} settings, all in the table") is bool(more)


def test_a_metric_that_nothing_was_scored_by_is_not_drawn(axes):
    assert not by_category(axes, [make_cell(None)], "exact_match")
    assert not by_category(axes, [make_cell(50.0)], "consistency")
    assert not axes.images


def test_a_setting_is_named_with_its_test_where_that_is_not_as_trained():
    trained, untuned = place(), place(data_budget=0)
    legend = Legend([trained])
    assert trial_name(Trial(trained, "original"), legend) == "original"
    assert trial_name(Trial(trained, "delusive"), legend) == "original, tested on delusive"
    assert trial_name(Trial(untuned, "original"), Legend([trained, untuned])) == "(untuned)"
    assert (
        trial_name(Trial(untuned, "delusive"), Legend([trained, untuned])) == "(untuned), tested on delusive"
    )


def test_tests_of_an_untuned_model_are_told_apart(axes):
    """Before: two columns of one name."""
    cell = make_cell(5.0, data_budget=0)
    both = (cell.blocks[0], dataclasses.replace(cell.blocks[0], instruction="simplified"))
    assert by_category(axes, [dataclasses.replace(cell, blocks=both)], "exact_match")
    key = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert key == ["a: (untuned)", "b: (untuned), tested on simplified"]
