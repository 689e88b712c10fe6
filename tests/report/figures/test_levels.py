"""Levels beside lines over budgets: each told once, by all that tells it from the others."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.report.figures.levels import levels
from instruct_ablate.report.rows.seed_means import build_rows
from tests.report.cells import make_cell


def test_levels_name_the_untuned_model_and_the_guess_once():
    cells = [
        make_cell(5.0, data_budget=0),
        make_cell(50.0, data_budget=0, model="uniform_guess"),
        make_cell(3.0, data_budget=0, model="copy_input"),
        make_cell(60.0),
    ]
    drawn = list(levels(build_rows(cells), "exact_match"))
    assert sorted(drawn) == [("copy input", 3.0), ("uniform guess", 50.0), ("untuned", 5.0)]
    two = [*cells, make_cell(7.0, data_budget=0, model="larger")]
    assert {name for name, _ in levels(build_rows(two), "rougeL")} == {
        "tiny, untuned", "larger, untuned", "copy input", "uniform guess",
    }  # fmt: skip


def test_each_test_set_has_a_uniform_guess_of_its_own():
    """Before: one line, that of the first row, stood for all."""

    def guessing(cell, value):
        block = cell.blocks[0]
        kinds = tuple(
            replace(
                one, values=(*(v for v in one.values if v[0] != "uniform_guess"), ("uniform_guess", value))
            )
            for one in block.scores.kinds
        )
        return replace(cell, blocks=(replace(block, scores=replace(block.scores, kinds=kinds)),))

    cells = [guessing(make_cell(60.0), 50.0), guessing(make_cell(60.0, tasks="mine"), 25.0)]
    assert sorted(levels(build_rows(cells), "exact_match")) == [
        ("uniform guess, mine", 25.0),
        ("uniform guess, starter", 50.0),
    ]
    alike = [make_cell(60.0), make_cell(60.0, tasks="mine")]
    assert list(levels(build_rows(alike), "exact_match")) == [("uniform guess", 50.0)]


def test_levels_say_what_the_untuned_model_was_tested_on_where_there_is_more_than_one_test():
    untuned = make_cell(5.0, data_budget=0)
    both = (untuned.blocks[0], replace(untuned.blocks[0], instruction="simplified"))
    drawn = [
        name
        for name, _ in levels(build_rows([replace(untuned, blocks=both), make_cell(60.0)]), "exact_match")
    ]
    assert {"untuned, tested on original", "untuned, tested on simplified"} <= set(drawn)


def test_without_rows_and_with_trained_ones_alone_there_is_no_level_but_the_guess():
    assert list(levels([], "exact_match")) == []
    trained = build_rows([make_cell(60.0), make_cell(40.0, instruction="simplified")])
    assert list(levels(trained, "exact_match")) == [("uniform guess", 50.0)]
    assert list(levels(trained, "rougeL")) == [], "the guess is of an exact match"


def test_a_cell_without_a_score_is_no_level():
    rows = build_rows([make_cell(None, data_budget=0), make_cell(60.0)])
    assert [name for name, _ in levels(rows, "exact_match")] == ["uniform guess"]
