"""Noisy definitions."""

from __future__ import annotations

from collections import Counter

import pytest

from instruct_ablate.instruction import noise
from instruct_ablate.instruction.audit.promise import broken
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import VARIANTS
from tests.conftest import make_task

WORDS = make_task().definition.split()


def test_shuffled_keeps_the_words_and_changes_their_order() -> None:
    after = noise.shuffled(make_task(), Context(0)).definition.split()
    assert after != WORDS
    assert Counter(after) == Counter(WORDS)
    assert noise.shuffled(make_task(definition="Sort."), Context(0)).definition == "Sort."


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 1.0])
def test_the_rate_is_met(rate: float) -> None:
    context, expected = Context(0, rate=rate), round(rate * len(WORDS))
    gone = noise.deleted(make_task(), context).definition.split()
    more = noise.inserted(make_task(), context).definition.split()
    other = noise.replaced(make_task(), context).definition.split()
    wrong = noise.misspelled(make_task(), context).definition.split()
    assert len(gone) == len(WORDS) - expected
    assert len(more) == len(WORDS) + expected
    assert sum(a != b for a, b in zip(WORDS, other, strict=True)) == expected
    can = min(expected, len(noise.spelled(WORDS)))
    assert sum(a != b for a, b in zip(WORDS, wrong, strict=True)) == can


def test_at_least_one_word_changes() -> None:
    assert noise.replaced(make_task(definition="Sort it."), Context(0, rate=0.01)).definition != "Sort it."


def test_an_empty_definition_stays_empty() -> None:
    for function in (
        noise.shuffled,
        noise.deleted,
        noise.replaced,
        noise.inserted,
        noise.misspelled,
        noise.no_stop_words,
    ):
        assert function(make_task(definition=""), Context(0)).definition == ""


def test_words_are_misspelt_by_one_letter() -> None:
    before = ["Aa", "bb", "cc", "dd", "1", "2", "3", "a", "b"]
    after = noise.misspelled(make_task(definition=" ".join(before)), Context(3, rate=1.0)).definition.split()
    assert [a != b for a, b in zip(before, after, strict=True)] == [True] * 4 + [False] * 5
    assert all(abs(len(a) - len(b)) <= 1 for a, b in zip(before, after, strict=True))


def test_stop_words_go_and_content_words_stay() -> None:
    after = noise.no_stop_words(make_task(), Context(0)).definition
    assert (
        after == "Read review. Answer 'positive' writer liked it, otherwise 'negative'." or "review" in after
    )
    assert not {"the", "if"} & set(after.lower().split())


@pytest.mark.parametrize(
    ("definition", "labels", "left"),
    [
        ("Answer with 'a' or 'b' for a story.", ("a", "b"), "Answer 'a' 'b' story."),
        ("Answer with a, or b.", ("a", "b"), "Answer a, b."),
        ("Say No or Yes, and no word.", ("Yes", "No"), "Say No Yes, word."),
        ("Is it NOT SIMILAR or not similar?", ("SIMILAR", "NOT SIMILAR"), "NOT SIMILAR not similar?"),
        ('It has the form "A : B" and the end.', None, 'form "A : B" end.'),
        ("You're to say what it is.", None, "You're say"),
    ],
)
def test_function_words_that_are_spoken_of_stay(
    definition: str, labels: tuple[str, ...] | None, left: str
) -> None:
    task = make_task(definition=definition, label_space=labels)
    after = noise.no_stop_words(task, Context(0))
    assert after.definition == left
    assert not list(broken(find("definition", "no_stop_words"), task, after, Context(0)))


def test_word_lists_are_as_published() -> None:
    assert len(noise.WORDS) == len(set(noise.WORDS)) > 100
    assert not set(noise.WORDS) & noise.STOP_WORDS


def test_draws_are_the_same_for_ever() -> None:
    """What a variant draws follows from seed, name and purpose: another purpose would make other data of old seeds."""
    task, context = make_task(), Context(7, rate=0.3)
    made = {name: getattr(noise, name)(task, context).definition for name in ("shuffled", *NOISY)}
    assert made == {
        "shuffled": "the the review. otherwise 'negative'. it, liked Read writer if 'positive' Answer",
        "deleted": "Read the review. Answer 'positive' if the otherwise",
        "replaced": "mountain the review. valley 'positive' cherry snow writer liked it, otherwise 'negative'.",
        "inserted": "Read book the review. Answer 'positive' journey if the writer horse liked it, otherwise "
        "'negative'. corner",
        "misspelled": "Read the revew. Asnwer 'poositive' if the writer liked it, otherwse 'negative'.",
    }


NOISY = ("deleted", "replaced", "inserted", "misspelled")


def test_at_least_one_word_and_at_most_all_are_touched() -> None:
    task = make_task(definition="One two three.")
    for name in NOISY:
        assert getattr(noise, name)(task, Context(0, rate=0.0)).definition == "One two three."
        assert getattr(noise, name)(task, Context(0, rate=0.01)).definition != "One two three."
    assert noise.deleted(task, Context(0, rate=1.0)).definition == ""
    assert len(noise.inserted(task, Context(0, rate=1.0)).definition.split()) == 6


def test_two_words_are_swapped_and_like_ones_left() -> None:
    assert noise.shuffled(make_task(definition="a b"), Context(0)).definition == "b a"
    assert noise.shuffled(make_task(definition="a a"), Context(0)).definition == "a a"
    assert {noise.shuffled(make_task(definition="a b"), Context(seed)).definition for seed in range(9)} == {
        "b a"
    }


def test_what_each_reads_is_registered() -> None:
    known = {
        name: one for name, one in VARIANTS["definition"].items() if one.function.__module__ == noise.__name__
    }
    assert {name: one.parameter for name, one in known.items()} == {
        **dict.fromkeys(NOISY, "rate"),
        "shuffled": None,
        "no_stop_words": None,
    }
