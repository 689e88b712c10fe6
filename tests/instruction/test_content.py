"""Kinds of content in a definition."""

from __future__ import annotations

import pytest

from instruct_ablate.instruction import content
from instruct_ablate.instruction.context import Context
from tests.conftest import make_task

DEFINITION = (
    'You are given a film review. Your task is to judge the writer\'s opinion. Answer with "positive" or '
    '"negative". A review is positive if the writer liked the film. The output should be one word.'
)


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("no_input_content", "You are given a film review."),
        ("no_action_content", "Your task is to judge the writer's opinion."),
        ("no_label_list", 'Answer with "positive" or "negative".'),
        ("no_label_definitions", "A review is positive if the writer liked the film."),
        ("no_output_content", "The output should be one word."),
    ],
)
def test_one_kind_is_dropped_and_the_rest_stays(name: str, gone: str) -> None:
    after = getattr(content, name)(make_task(definition=DEFINITION), Context(0)).definition
    assert after == " ".join(DEFINITION.replace(gone, "").split())


def test_a_definition_without_the_kind_stays() -> None:
    task = make_task(definition="Sort   the words.")
    assert content.no_label_list(task, Context(0)) is task


def test_labels_count_as_whole_words_only() -> None:
    task = make_task(label_space=("a", "no"), definition="Write another note about a notion.")
    assert content.kind_of(task, task.definition) != "label_list"


def test_long_sentences_are_split_at_commands() -> None:
    assert content.clauses("In this task, you are given a word and you need to spell it.") == [
        "In this task,",
        "you are given a word",
        "and you need to spell it.",
    ]


def test_a_clause_that_explains_all_labels_is_a_list_of_them() -> None:
    three = make_task(label_space=("good", "bad", "odd"))
    assert content.kind_of(three, "It is good or bad if you can tell") == "label_definition"
    assert content.kind_of(three, "It is good, bad or odd if you can tell") == "label_list"
    assert (
        content.kind_of(make_task(label_space=("good",)), "It is good if you like it") == "label_definition"
    )
    assert content.kind_of(make_task(), "positive or negative") == "label_list"
    assert content.kind_of(make_task(), "positive") == "other"


def test_labels_of_one_letter_are_told_by_case_and_longer_ones_are_not() -> None:
    letters = make_task(label_space=("A", "B"))
    assert content.kind_of(letters, "a or b") == "other"
    assert content.kind_of(letters, "A or B") == "label_list"
    assert content.kind_of(make_task(), "Positive or NEGATIVE.") == "label_list"


def test_without_a_label_space_no_clause_is_of_labels() -> None:
    assert content.kind_of(make_task(label_space=None), "positive or negative") == "other"


def test_two_labels_are_a_list_and_one_is_not() -> None:
    three = make_task(label_space=("good", "bad", "odd"))
    assert content.kind_of(three, "good or bad") == "label_list"
    assert content.kind_of(three, "good") == "other"


@pytest.mark.parametrize(
    ("clause", "kind"),
    [
        ("You are given a text", "input"),
        ("Your task is to sort", "action"),
        ("The output should be short", "output"),
        ("Beware of tigers", "other"),
    ],
)
def test_what_else_a_clause_is_about(clause: str, kind: str) -> None:
    assert content.kind_of(make_task(label_space=None), clause) == kind


def test_dropping_is_named_after_what_is_dropped() -> None:
    assert content.no_label_list.__name__ == "no_label_list"
    assert content.no_input_content.__qualname__ == "no_input_content"
    assert content.no_label_definitions.__doc__ == "Leave out what the labels mean (Yin et al. 2023)."
