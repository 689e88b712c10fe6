"""The built-in metrics on predictions whose values can be told by hand, and how each is registered."""

from __future__ import annotations

import pytest

from instruct_ablate.metrics.built_in import (
    consistency,
    exact_match,
    format_correctness,
    guess_chance,
    rouge1,
    rouge_l,
    strict_exact_match,
    uniform_guess,
)
from instruct_ablate.metrics.registry import built_in, find_metric


@pytest.mark.parametrize(
    ("prediction", "normalised", "strict"),
    [
        ("positive", 1, 1),
        (" positive\n", 1, 1),
        ("Positive.", 1, 0),
        ("negative", 0, 0),
        ("good", 1, 1),
        ("", 0, 0),
    ],
)
def test_matches_with_any_reference(prediction, normalised, strict):
    assert exact_match(prediction, ("positive", "good")) == normalised
    assert strict_exact_match(prediction, ("positive", "good")) == strict


def test_rouge_1_counts_words_and_rouge_l_their_order():
    said, right = "d c b a", ("a b c d", "x")
    assert rouge1(said, right) == 1.0
    assert rouge_l(said, right) == pytest.approx(0.25)


@pytest.mark.parametrize(("prediction", "form"), [("Yes", 1), ("yes", 0), (" No ", 1), ("Yes.", 0)])
def test_the_format_is_right_letter_for_letter_whatever_is_right(prediction, form):
    assert format_correctness(prediction, ("No",), ("Yes", "No")) == form


def test_a_guess_counts_labels_that_exact_match_merges_as_one():
    assert guess_chance(("Yes", "yes.", "No")) == 0.5
    assert uniform_guess("", ("b",), ("a", "b", "c", "d")) == 0.25
    assert uniform_guess("", ("e",), ("a", "b", "c", "d")) == 0, "no label is right"


def test_agreement_is_over_pairs_of_seeds():
    assert consistency(("Yes", "yes.", "no"), ()) == pytest.approx(1 / 3)
    assert consistency(("a", "a"), ()) == 1.0
    assert consistency(("a",), ()) is None, "one seed agrees with nobody"


BOTH, LABELS = ("classification", "generation"), ("classification",)


@pytest.mark.parametrize(
    ("name", "kinds", "reads"),
    [
        ("exact_match", LABELS, "text"),
        ("strict_exact_match", LABELS, "text"),
        ("rouge1", BOTH, "word_rule"),
        ("rougeL", BOTH, "word_rule"),
        ("format_correctness", LABELS, "label_space"),
        ("uniform_guess", LABELS, "label_space"),
        ("consistency", BOTH, "cells"),
    ],
)
def test_where_each_is_defined_and_what_it_reads(name, kinds, reads):
    metric = find_metric(name)
    assert (metric.kinds, metric.reads, metric.unit) == (kinds, reads, "%")
    assert metric.higher_is_better
    assert metric.range == (0.0, 1.0)


def test_these_are_all():
    assert len(built_in()) == 9


@pytest.mark.parametrize(
    ("prediction", "reference", "form"),
    [
        ("his", "his", 1.0),
        (" his\n", "his", 1.0),
        ("His", "his", 1.0),
        ("his", "she", 0.0),  # a spelling that neither the labels nor its own reference have
        ("HIS", "his", 0.0),
        ("theirs", "theirs", 0.0),  # right, and none of the task's labels
        ("+", "-", 0.0),
    ],
)
def test_a_reference_may_spell_its_label_otherwise(prediction, reference, form):
    """Before: who answered all of task893 as its references do had 49 % in the right format."""
    assert format_correctness(prediction, (reference,), ("His", "she", "-")) == form
