from __future__ import annotations

import random
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.words.corpus import Corpus, draw, sentences


def test_the_shipped_corpus_has_sentences_of_many_lengths() -> None:
    lengths = sentences(None).by_length
    assert sentences(None).size >= 90
    assert min(lengths) < 6
    assert max(lengths) > 35


def corpus_of(lengths: range) -> Corpus:
    return Corpus({n: (" ".join([f"w{n}"] * n),) for n in lengths})


def test_a_draw_is_about_as_long_as_asked_for() -> None:
    corpus, chance = corpus_of(range(1, 100)), random.Random(0)
    drawn = [len(draw(corpus, 50, 1, chance)[0].split()) for _ in range(50)]
    assert all(30 <= length <= 70 for length in drawn)
    assert len(set(drawn)) > 5
    assert len(draw(corpus, 1000, 1, chance)[0].split()) > 90  # longer than all of them


def test_the_sentences_of_a_prompt_are_different_ones() -> None:
    chance = random.Random(0)
    for _ in range(20):
        assert len(set(draw(corpus_of(range(1, 17)), 8, 16, chance))) == 16
    several = Corpus({3: ("a b c", "d e f", "g h i"), 40: ("x " * 40,)})
    assert {one for _ in range(40) for one in draw(several, 3, 1, chance)} == {"a b c", "d e f", "g h i"}
    with pytest.raises(UserError, match="4 different lines, fewer than the 5 examples"):
        draw(several, 3, 5, chance)


def test_files_that_will_not_do_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        sentences(str(tmp_path / "none.txt"))
    short = tmp_path / "short.txt"
    short.write_text("One.\n\nOne.\nTwo.\n")
    with pytest.raises(UserError, match="2 different lines"):
        sentences(str(short))
