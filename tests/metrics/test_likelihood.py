from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.metrics import Selection, find_measure, score_all, score_prediction
from instruct_ablate.metrics.likelihood import PER_BYTE, PER_TOKEN
from instruct_ablate.metrics.registry import built_in, reading_model
from instruct_ablate.model.decoding.settings import check_likelihoods
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt

TOLD = (Likelihood(-6.0, 3, 12), Likelihood(-2.5, 1, 2), Likelihood(-0.5, 1, 0))
OWN = """
from instruct_ablate.metrics import metric


@metric("surprise_of_first", unit="nats", reads="model", range=None, higher_is_better=False)
def surprise(prediction, references, likelihoods):
    return -likelihoods[0].log_probability
"""


def test_naming_it_gives_both_values_and_the_defaults_neither() -> None:
    named = Selection((PER_TOKEN,)).load()
    assert [one.name for one in named if not one.is_built_in] == [PER_TOKEN, PER_BYTE]
    assert named == Selection((PER_TOKEN, PER_BYTE)).load(), "each once"
    assert reading_model(Selection((PER_BYTE,)).load()) == (PER_BYTE,)
    assert reading_model(Selection().load()) == reading_model(built_in()) == ()
    assert find_measure(f"generation_{PER_TOKEN}").label == "ref. log-lik. per token (generation), nats/token"


def test_each_takes_its_own_best_reference_and_an_empty_one_has_no_bytes() -> None:
    metrics = Selection((PER_TOKEN,)).load()
    score = score_prediction("x", ("a", "b", ""), None, metrics, likelihoods=TOLD)
    assert (score.get(PER_TOKEN), score.get(PER_BYTE)) == (-0.5, -0.5)
    score = score_prediction("x", ("a", "b"), None, metrics, likelihoods=TOLD[:2])
    assert (score.get(PER_TOKEN), score.get(PER_BYTE)) == (-2.0, -0.5)
    assert score_prediction("x", ("",), None, metrics, likelihoods=TOLD[2:]).get(PER_BYTE) is None


def test_without_likelihoods_there_is_no_value_and_equal_texts_are_told_apart() -> None:
    prompt = Prompt("t", "C", "generation", "i", "source", ("a",), "a")
    given = [Prediction(prompt, "x", told and (told,)) for told in (TOLD[0], TOLD[1], None, TOLD[0])]
    scores = score_all(given, metrics=Selection((PER_TOKEN,)))
    assert [one.get(PER_TOKEN) for one in scores] == [-2.0, -2.5, None, -2.0]


def test_a_metric_of_the_user_is_given_them_too(tmp_path: Path) -> None:
    (tmp_path / "extension_of_likelihood_test.py").write_text(OWN)
    metrics = Selection(files=(str(tmp_path / "extension_of_likelihood_test.py"),)).load()
    assert reading_model(metrics) == ("surprise_of_first",)
    assert (
        score_prediction("x", ("a", "b"), None, metrics, likelihoods=TOLD[:2]).get("surprise_of_first") == 6
    )


def test_an_engine_that_gives_answers_alone_is_refused_in_one_line() -> None:
    check_likelihoods("native", (PER_TOKEN,))
    check_likelihoods("vllm", ())
    with pytest.raises(UserError, match=r"reference_log_likelihood .*evaluation\.engine=native\.$"):
        check_likelihoods("vllm", (PER_TOKEN,))


def test_its_differences_are_counted_in_nats_and_rounded_finely() -> None:
    own, usual = find_measure(PER_TOKEN), find_measure("exact_match")
    assert (own.steps, own.percent, own.digits) == ("nats/token", False, 2)
    assert (usual.steps, usual.percent, usual.digits) == ("points", True, 1)


def test_tables_call_them_by_these_names() -> None:
    assert (PER_TOKEN, PER_BYTE) == ("reference_log_likelihood", "reference_log_likelihood_per_byte")
    assert find_measure(PER_BYTE).label == "ref. log-lik. per byte (all tasks), nats/byte"
