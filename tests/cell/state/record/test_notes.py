from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record.notes import _one_answer, prediction_notes, prompt_notes, unmarked_note
from instruct_ablate.cell.state.record.predictions import PredictionRow, make_row
from instruct_ablate.metrics import InstanceScore
from instruct_ablate.prompt.prompt import Prediction, Prompt

PROMPTS = tuple(
    Prompt("t", "c", "classification", str(n), "", (right,), right, ("yes", "no"), word_rule="latin")
    for n, right in enumerate(("yes", "no") * 5)
)


def test_merged_labels_and_rows_that_no_choice_is_right_for_are_noted() -> None:
    signs = [replace(prompt, references=("1",), choices=("-1", "0", "1")) for prompt in PROMPTS]
    (note,) = prompt_notes(signs)
    assert "in 1 of 1 label spaces" in note
    assert "exact match takes '-1' and '1' for one in t" in note
    derived = [replace(one, choices=("-1", "0")) for one in signs]
    derived[0] = replace(derived[0], references=("-1",))
    assert "takes '-1' and '1' for one" in next(prompt_notes(derived)), "the space has but the first spelling"
    lost = [replace(signs[0], choices=("0", "2")), *(replace(one, choices=("1", "2")) for one in signs[1:])]
    assert list(prompt_notes(lost)) == ["1 of 10 instances have no choice that is right"]
    assert list(prompt_notes(PROMPTS)) == []


def test_other_letters_are_noted() -> None:
    (note,) = prompt_notes([replace(PROMPTS[0], word_rule="unicode")])
    assert "is of Unicode words" in note


def said(*texts: str) -> list[str]:
    """Notes on answers to the prompts; expected scores have no answers to look at."""
    pairs = zip(PROMPTS, texts, strict=True)
    rows = [make_row(Prediction(prompt, text), InstanceScore()) for prompt, text in pairs]
    assert not list(prediction_notes([replace(row, expected=True) for row in rows]))
    return list(prediction_notes(rows))


def test_empty_and_stray_answers_and_one_for_all_are_noted() -> None:
    assert said(*("yes", "no") * 5) == []
    assert said("", *("no", "yes") * 4, "no")[0] == "1 of 10 predictions are empty (10%)"
    assert said("so", *("no", "yes") * 4, "no") == [
        "1 of 10 answers to classification tasks lie outside the label space (10%)"
    ]
    (note,) = said(*("Yes",) * 10)
    assert note.endswith("(such as t: 'yes')")


def of_many(empty: int, count: int) -> list[str]:
    row = make_row(Prediction(replace(PROMPTS[0], choices=None), "text"), InstanceScore())
    rows = [replace(row, prediction=" " if place < empty else "text") for place in range(count)]
    return list(prediction_notes(rows))


def test_empty_answers_are_noted_from_one_in_a_hundred_on() -> None:
    assert of_many(1, 100) == ["1 of 100 predictions are empty (1%)"]
    assert of_many(1, 101) == []
    assert of_many(0, 100) == []
    assert list(prediction_notes([])) == []


@pytest.mark.parametrize(
    ("same", "right", "noted"), [(18, 0, True), (17, 0, False), (20, 18, False), (20, 17, True)]
)
def test_one_answer_for_nine_tenths_is_noted_unless_it_is_right(same: int, right: int, noted: bool) -> None:
    rows = [
        PredictionRow(
            "t", "C", "classification", str(at), "", "yes" if at < same else "no", ("yes" if at < right else "no",),
            ("yes", "no"), False, (),
        )
        for at in range(20)
    ]  # fmt: skip
    assert (_one_answer(rows) == "yes") is noted


def test_cut_answers_are_counted_where_there_are_any() -> None:
    rows = [make_row(Prediction(one, "yes", cut=n < 2), InstanceScore()) for n, one in enumerate(PROMPTS[:5])]
    assert "2 of 5 answers were ended at their greatest length (40%)" in list(prediction_notes(rows))
    whole = [replace(row, cut=False) for row in rows]
    assert not any("greatest length" in note for note in prediction_notes(whole))


def test_answers_of_an_earlier_version_make_the_number_of_cut_ones_a_lower_bound() -> None:
    assert unmarked_note(0, PROMPTS, "greedy") == ""
    assert unmarked_note(2, PROMPTS, "greedy").startswith(f"2 of {len(PROMPTS)} answers were taken over from")
    assert unmarked_note(2, PROMPTS, "greedy").endswith("lower bound")
    chosen = [replace(one, choices=("yes", "no")) for one in PROMPTS]
    assert unmarked_note(2, chosen, "rank") == ""  # a label is never cut
    assert unmarked_note(2, chosen, "greedy")
    assert unmarked_note(2, [*chosen, replace(chosen[0], choices=None)], "rank")
