from __future__ import annotations

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from instruct_ablate.metrics.rouge import best_rouge, lcs_length, rouge, words

TEXT = "the running runs ran cat cats happily happy 12 a of, x-ray naïve Zürich Running CAT ... 日本"
WORDS = TEXT.split()


def plain(prediction: str, reference: str) -> tuple[float, float]:
    scores = RougeScorer(["rouge1", "rougeL"], use_stemmer=True).score(reference, prediction)
    return scores["rouge1"].fmeasure, scores["rougeL"].fmeasure


@pytest.mark.parametrize("seed", range(40))
def test_equals_rouge_score_bit_for_bit(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(20):
        one, other = (" ".join(draw.choices(WORDS, k=draw.randrange(90))) for _ in range(2))
        assert rouge(one, other) == plain(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", ""),
        ("", "word"),
        ("!!!", "!!!"),
        ("same words", "same words"),
        ("a\nb", "b a"),
        ("\ud800 x", "x"),
    ],
)
def test_equals_rouge_score_at_the_edges(one: str, other: str) -> None:
    assert rouge(one, other) == plain(one, other)


def test_long_texts_use_more_bits_than_a_machine_word() -> None:
    one = " ".join(str(i) for i in range(500))
    other = " ".join(str(i) for i in range(0, 500, 3))
    assert lcs_length(words(one), words(other)) == 167


def test_each_measure_takes_its_own_best_reference() -> None:
    references = ("d c b a", "a b x y")
    assert best_rouge("a b c d", references, "latin") == (1.0, 0.5)


def test_words_are_stemmed_only_beyond_three_letters() -> None:
    assert words("was running").sequence == ("was", "run")
