from __future__ import annotations

from collections.abc import Sequence

import pytest

from instruct_ablate.metrics import score_all
from instruct_ablate.metrics.rouge import rouge
from instruct_ablate.metrics.segmentation import segments, word_notes
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.tasks.task import WordRule


def test_words_keep_their_marks_and_unspaced_scripts_are_cut_into_characters() -> None:
    assert segments("यह सही है।") == ("यह", "सही", "है")
    assert segments("它是red 2") == ("它", "是", "red", "2")
    assert segments("Да, НЕТ") == ("да", "нет")


def test_rouge_of_other_scripts_is_not_zero_and_of_english_as_ever() -> None:
    assert rouge("यह सही है", "यह सही है", "unicode") == (1.0, 1.0)
    assert rouge("यह गलत है", "यह सही है", "unicode")[1] == pytest.approx(2 / 3)
    assert rouge("它不是", "它是", "unicode") == (pytest.approx(0.8), pytest.approx(0.8))
    assert rouge("cats running", "cat runs") == (1.0, 1.0)


def asked(task: str, references: Sequence[str], rule: WordRule | None = None) -> list[Prediction]:
    return [
        Prediction(Prompt(task, "c", "generation", str(n), "", (text,), text, word_rule=rule), text)
        for n, text in enumerate(references)
    ]


def test_a_task_is_never_scored_by_two_rules() -> None:
    """Of a task that is half Hindi the English rows are cut like the others: no stems."""
    for rule in ("unicode", None):
        hindi, english = asked("t", ["यह सही है", "cats"], rule)
        scores = score_all([hindi, Prediction(english.prompt, "cat")])
        assert [score.get("rougeL") for score in scores] == [1, 0]
    (alone,) = score_all([Prediction(asked("t", ["cats"])[0].prompt, "cat")])
    assert alone.get("rougeL") == 1


def test_the_rule_is_said_where_it_is_not_the_usual_one() -> None:
    prompts = [one.prompt for one in (*asked("hi", ["सही"], "unicode"), *asked("en", ["yes", "है"], "latin"))]
    first, second = word_notes(prompts)
    assert "ROUGE of 1 of 2 tasks (hi) is of Unicode words" in first
    assert second.startswith("1 instance of tasks in Latin letters has a reference in other letters")
    assert not list(word_notes(prompts[1:2]))


def test_characters_of_unspaced_scripts_end_the_word_before_them() -> None:
    assert segments("") == ()
    assert segments("...") == ()
    assert segments("abc") == ("abc",)
    assert segments("ab它cd") == ("ab", "它", "cd")
    assert segments("Ｆｕｌｌ ｗｉｄｔｈ") == ("full", "width")
