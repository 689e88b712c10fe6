"""Score keys: the names under which every logger gets a record's scores."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.cell.mirror.score_keys import block_scores, flat_scores, main_scores, measures
from tests.report.cells import make_cell, with_likelihoods
from tests.scored import score


def test_scores_are_flat_and_none_is_left_out():
    flat = flat_scores(make_cell(50.0))
    assert flat["original/generation/rougeL"] == 40.0
    assert "original/generation/uniform_guess" not in flat


def test_main_scores_are_of_the_first_test_under_the_names_of_hypotheses():
    cell = make_cell(50.0)
    found = main_scores(replace(cell, blocks=(*cell.blocks, make_cell(60.0, tested="delusive").blocks[0])))
    assert found["exact_match"] == 50.0
    assert found["rougeL"] == 45.0
    assert found["generation_rougeL"] == 40.0
    assert None not in found.values()
    assert measures(score("t", 1, 1.0, 2.0, 3.0)) == {"exact_match": 1.0, "rouge1": 2.0, "rougeL": 3.0}


def test_scores_of_a_test_have_the_names_of_those_while_training():
    cell = make_cell(50.0)
    cell = replace(cell, blocks=(*cell.blocks, make_cell(60.0, tested="delusive").blocks[0]))
    told = block_scores(cell)
    assert (told["eval/original/exact_match"], told["eval/delusive/exact_match"]) == (50.0, 60.0)
    assert told["eval/original/rougeL"] == main_scores(cell)["rougeL"]


def test_likelihoods_of_references_are_mirrored_under_their_names():
    record = with_likelihoods(make_cell(50.0), -1.5)
    assert main_scores(record)["reference_log_likelihood"] == -1.5
    assert block_scores(record)["eval/original/generation_reference_log_likelihood"] == -1.5
    assert flat_scores(record)["original/task_mean/reference_log_likelihood_per_byte"] == -0.375
