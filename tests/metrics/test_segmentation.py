from __future__ import annotations

import pytest

from instruct_ablate.metrics.rouge import rouge
from instruct_ablate.metrics.segmentation import is_other_script, segments


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Yes, αβ.", False),
        ("naïve façade", False),
        ("हाँ, यह सही है", True),
        ("它是很红 red", True),
        ("12", False),
    ],
)
def test_most_letters_decide_the_script(text: str, other: bool) -> None:
    assert is_other_script(text) is other


def test_words_keep_their_marks_and_unspaced_scripts_are_cut_into_characters() -> None:
    assert segments("यह सही है।") == ("यह", "सही", "है")
    assert segments("它是red 2") == ("它", "是", "red", "2")
    assert segments("Да, НЕТ") == ("да", "нет")


def test_rouge_of_other_scripts_is_not_zero_and_of_english_as_ever() -> None:
    assert rouge("यह सही है", "यह सही है") == (1.0, 1.0)
    assert rouge("यह गलत है", "यह सही है")[1] == pytest.approx(2 / 3)
    assert rouge("它不是", "它是") == (pytest.approx(0.8), pytest.approx(0.8))
    assert rouge("cats running", "cat runs") == (1.0, 1.0)
