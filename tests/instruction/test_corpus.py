from __future__ import annotations

import random
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.corpus import draw, sentences


def test_the_shipped_corpus_has_sentences_of_many_lengths() -> None:
    lengths = [len(sentence.split()) for sentence in sentences(None)]
    assert len(lengths) >= 90
    assert min(lengths) < 6
    assert max(lengths) > 35


def test_a_draw_is_about_as_long_as_asked_for() -> None:
    corpus, chance = tuple(" ".join(["w"] * n) for n in range(1, 100)), random.Random(0)
    drawn = [len(draw(corpus, 50, chance).split()) for _ in range(50)]
    assert all(30 <= length <= 70 for length in drawn)
    assert len(set(drawn)) > 5
    assert len(draw(corpus, 1000, chance).split()) > 90  # longer than all of them


def test_files_that_will_not_do_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        sentences(str(tmp_path / "none.txt"))
    short = tmp_path / "short.txt"
    short.write_text("One.\n\nOne.\nTwo.\n")
    with pytest.raises(UserError, match="2 different lines"):
        sentences(str(short))
