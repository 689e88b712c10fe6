"""The model card: every number with its interval, nothing that could be read as markup, no licence made up."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock, Selected
from instruct_ablate.metrics import Scores
from instruct_ablate.report.documents.model_card import Folder, interval, model_card
from instruct_ablate.scores import TaskScore
from tests.report.cells import make_cell
from tests.scored import score


def block(*exact: float) -> ScoreBlock:
    mean = score("overall", 10, sum(exact) / len(exact), 0, 0, 0, 0)
    tasks = [
        TaskScore("classification", "c", score(f"t{n}", 10, value, 0, 0, 0, 0))
        for n, value in enumerate(exact)
    ]
    return ScoreBlock(
        "original", "p", Scores(mean, mean, (replace(mean, name="classification"),), (), tuple(tasks))
    )


def cell(*exact: float) -> CellRecord:
    return replace(make_cell(50.0), blocks=(block(*exact),))


def test_an_interval_is_students_over_tasks() -> None:
    low, high, tasks = interval(block(40.0, 50.0, 60.0), "exact_match")
    half = 4.302653 * 10 / 3**0.5
    assert (low, high, tasks) == (pytest.approx(50 - half, abs=1e-3), pytest.approx(50 + half, abs=1e-3), 3)
    assert interval(block(40.0), "exact_match") == (None, None, 1)
    assert interval(block(0.0, 0.0, 0.0), "exact_match") == (None, None, 3), "no certainty out of no variance"


def test_front_matter_is_yaml_and_says_only_what_is_known() -> None:
    card = model_card(cell(40.0, 50.0), Folder("mine", "ForCausalLM", True, "org/base", "mit"))
    head = yaml.safe_load(card.split("---")[1])
    assert head == {
        "base_model": "org/base",
        "license": "mit",
        "library_name": "peft",
        "tags": ["instruct-ablate"],
    }
    bare = model_card(cell(40.0, 50.0), Folder("mine", "ForSeq2SeqLM"))
    assert "license" not in yaml.safe_load(bare.split("---")[1])
    assert "Of these weights: not recorded" in bare
    assert "AutoModelForSeq2SeqLM" in bare
    assert "AutoPeftModelForCausalLM" in card
    assert "| original | exact_match | 45.0 |" in card


def test_a_model_that_was_trained_is_not_taken_back_as_untuned() -> None:
    assert "`instruct-ablate train model=FOLDER model.tuned=true data_budget=0` with" in model_card(
        cell(40.0), Folder("mine", "ForCausalLM")
    )


def test_which_weights_they_are() -> None:
    chosen = replace(cell(40.0, 50.0), selected=Selected("rougeL", 2, 3, 4, ((2, 7.5),)))
    folder = Folder("mine", "ForCausalLM")
    assert "after step 2 of 4, which scored best by `rougeL` on held-out training tasks (7.50)" in model_card(
        chosen, folder
    )
    assert "held-out" not in model_card(cell(40.0, 50.0), folder)


def test_the_share_that_was_altered() -> None:
    one, folder = cell(40.0, 50.0), Folder("mine", "ForCausalLM")
    half = replace(one, setting=one.setting.changed(**{"instruction": "delusive", "data.altered_share": 0.5}))
    said = "trained on `delusive` instructions in a share of 0.5 of the examples, on the originals in the others, 8"
    assert said in model_card(half, folder)
    whole = replace(half, setting=half.setting.changed(**{"data.altered_share": 1.0}))
    assert "trained on `delusive` instructions, 8 instances" in model_card(whole, folder)


def test_the_rate_that_was_trained_at() -> None:
    one, folder = cell(40.0, 50.0), Folder("mine", "ForCausalLM")
    lora = replace(
        one, setting=one.setting.changed(**{"method": "lora", "method.learning_rate_factor": 10.0})
    )
    assert "Learning rates as trained: lora 0.002 (0.0002 x 10)" in model_card(lora, folder)
    assert "as trained" not in model_card(one, folder)


def test_names_of_a_study_are_no_markup() -> None:
    one = cell(40.0, 50.0)
    hostile = replace(one, setting=one.setting.changed(model="x`\n# <b>|title\x1b[2J"))
    card = model_card(hostile, Folder("a\n# b", "ForCausalLM"))
    assert "\x1b" not in card
    assert "<b>" not in card
    assert [line for line in card.splitlines() if line.startswith("# ")] == ["# a # b"]
