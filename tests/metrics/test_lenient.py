"""Lenient match: the rule by which an answer is taken out of a text, and where the metric is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.preflight import Preflight
from instruct_ablate.metrics import find_measure, load_metrics, score_prediction
from instruct_ablate.metrics.built_in import exact_match
from instruct_ablate.metrics.lenient import extracted, lenient_match, mentioned
from tests.standins import make_config

LABELS = ("positive", "negative", "not sure")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("positive", "positive"),
        ("\n\n  'Positive'.\nBecause it is.", "positive"),
        ("It is bad.\nThe answer is: **negative**.\nBye", "negative"),
        ("Answer: positive", "positive"),
        ("The answer is positive. No, the correct answer is negative.", "negative"),
        ("The final label would be (positive)", "positive"),
        ("The answer is", "the answer is"),
        ("", ""),
        ("...", ""),
    ],
)
def test_the_answer_in_a_text(text: str, answer: str) -> None:
    assert extracted(text) == answer


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("i think it is positive", "positive"),
        ("positive or negative", None),
        ("it is not positive", None),
        ("i am not sure", "not sure"),
        ("positively", None),
        ("", None),
    ],
)
def test_a_label_that_is_mentioned_alone(answer: str, label: str | None) -> None:
    assert mentioned(answer, LABELS) == label


@pytest.mark.parametrize("text", ["positive", "Positive.", " positive\n", "negative", "gibberish", ""])
def test_what_matches_exactly_matches_leniently(text: str) -> None:
    assert lenient_match(text, ["positive"], LABELS) >= exact_match(text, ["positive"])


def test_it_is_asked_for_by_name_and_stands_beside_the_strict_one() -> None:
    metrics = load_metrics(["lenient_match"])
    score = score_prediction("The answer is positive, I think.", ("positive",), LABELS, metrics)
    assert (score.get("exact_match"), score.get("lenient_match")) == (0.0, 1.0)
    assert score_prediction("a text", ("a text",), None, metrics).get("lenient_match") is None
    assert "lenient_match" not in [one.name for one in load_metrics([])]
    assert find_measure("lenient_match").kind == "classification"


def test_it_is_refused_where_answers_are_cut(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    config.evaluation.metrics = ["lenient_match"]
    assert Preflight().of_values(config) == []
    config.evaluation.cut_wrong_answers = True
    (fault,) = Preflight().of_values(config)
    assert "lenient_match reads whole answers" in fault
    config.evaluation.metrics = []
    assert Preflight().of_values(config) == []
    with pytest.raises(UserError, match="did you mean 'lenient_match'"):
        load_metrics(["lenient_macth"])
