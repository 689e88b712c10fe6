"""Lenient match: the rule by which an answer is taken out of a text, and where the metric is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.preflight import Preflight
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
    config.evaluation.cut_wrong_answers, config.evaluation.answer_slack = False, 2
    (fault,) = Preflight().of_values(config)
    assert "evaluation.answer_slack=2 ends long ones early" in fault
    config.evaluation.metrics = []
    assert Preflight().of_values(config) == []
    with pytest.raises(UserError, match="did you mean 'lenient_match'"):
        load_metrics(["lenient_macth"])


@pytest.mark.parametrize(
    ("answer", "labels", "label"),
    [
        ("positive", LABELS, "positive"),
        ("x positive", LABELS, "positive"),
        ("not sure positive", LABELS, None),
        ("positive positive", LABELS, "positive"),
        ("it is not spam", ("spam", "not spam"), "not spam"),
        ("spam", ("spam", "not spam"), "spam"),
        ("a b c", ("a b c",), "a b c"),
        ("a b", ("a b c", ""), None),
        ("yes never", ("yes", "no way"), None),
        ("yes", ("Yes.", "yes"), "yes"),
    ],
)
def test_longer_labels_are_looked_for_first(answer: str, labels: tuple[str, ...], label: str | None) -> None:
    assert mentioned(answer, labels) == label


@pytest.mark.parametrize("word", ["not", "no", "never", "neither", "nor", "none", "cannot", "isnt", "arent", "cant",
                                  "doesnt", "dont", "wasnt"])  # fmt: skip
def test_denials_leave_no_mention(word: str) -> None:
    assert mentioned(f"it {word} be positive", LABELS) is None


@pytest.mark.parametrize(
    ("prediction", "value"),
    [
        ("The answer is: positive", 1.0),
        ("I say positive", 1.0),
        ("negative", 0.0),
        ("hm", 0.0),
        ("Positive!", 1.0),
    ],
)
def test_a_match_is_one_and_all_else_nothing(prediction: str, value: float) -> None:
    assert lenient_match(prediction, ["positive"], LABELS) == value


def test_a_mark_with_nothing_behind_it_on_its_line_is_none() -> None:
    assert extracted("positive\nThe answer is:\nnegative") == "positive"
    assert extracted("My label would be negative\nThe answer is:") == "negative"
