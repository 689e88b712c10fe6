from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.metrics import (
    Score,
    Selection,
    aggregate,
    load_metrics,
    metric,
    score_all,
    score_prediction,
)
from instruct_ablate.metrics.likelihood import PER_TOKEN
from instruct_ablate.metrics.registry import Metric
from instruct_ablate.metrics.scoring import checked, score_predictions, with_rules
from instruct_ablate.prompt.prompt import Likelihood, Prediction, Prompt


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def prediction(row: dict[str, Any]) -> Prediction:
    references = tuple(row["references"])
    prompt = Prompt(
        row["task"], row["category"], "generation", row["instance_id"], "", references, references[0]
    )
    return Prediction(prompt, row["prediction"])


def compare(scores: dict[str, Score], expected: dict[str, float]) -> None:
    found = {
        f"{measure}{name}": round(score.get(measure), 4)
        for name, score in scores.items()
        for measure in ("exact_match", "rouge1", "rougeL")
    }
    assert found == expected


def under(name: str) -> str:
    return "_for_" + "_".join(name.lower().split())


def test_golden_cases_of_tk_instruct(shared: Path) -> None:
    rows = read(shared / "golden" / "tk_instruct_metrics.jsonl")
    predictions = [prediction(row) for row in rows]
    scores = score_all(predictions)
    for row, score in zip(rows, scores, strict=True):
        assert score.get("exact_match") == row["exact_match"]
        assert score.get("rouge1") == pytest.approx(row["rouge1"], abs=1e-9)
        assert score.get("rougeL") == pytest.approx(row["rougeL"], abs=1e-9)
    total = aggregate(predictions, scores)
    expected = json.loads((shared / "golden" / "tk_instruct_metrics_aggregate.json").read_text())
    compare({"": total.overall, **{under(c.name): c for c in total.categories}}, expected)


def test_real_predictions_overall_by_category_and_by_task(shared: Path) -> None:
    predictions = [prediction(row) for row in read(shared / "predictions" / "alpaca_llama7b.jsonl")]
    total = aggregate(predictions, score_all(predictions))
    groups = {under(c.name): c for c in total.categories} | {
        f"_for_{t.score.name}": t.score for t in total.tasks
    }
    expected = json.loads((shared / "predictions" / "alpaca_llama7b_expected.json").read_text())
    compare({"": total.overall, **groups}, expected)


@pytest.mark.parametrize(("said", "inside"), [(" yes\n", True), ("Yes", False), ("yes.", False), ("", False)])
def test_format_is_plain_equality(said: str, inside: bool) -> None:
    assert score_prediction(said, ["yes"], ("yes", "no")).get("format_correctness") == float(inside)


def test_generation_has_no_format() -> None:
    assert score_prediction("anything", ["something"]).get("format_correctness") is None


def test_no_references_is_a_users_error() -> None:
    with pytest.raises(UserError, match="no references"):
        score_prediction("x", [])


def some(count: int) -> list[Prediction]:
    prompt = Prompt("t", "c", "classification", "1", "", ("yes",), "yes", ("yes", "no"))
    return [Prediction(prompt, ("yes", "no", f"maybe {i}")[i % 3]) for i in range(count)]


def test_worker_processes_give_the_same_in_the_same_order() -> None:
    assert score_all(some(30), workers=2) == score_all(some(30), workers=1)


def test_nothing_to_score() -> None:
    assert score_all([]) == ()


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_metrics")
    vars(module)["brevity"] = metric("brevity")(lambda prediction, references: 1 / (1 + len(prediction)))
    vars(module)["broken"] = metric("broken")(lambda prediction, references: float("nan"))
    vars(module)["plain"] = lambda prediction, references: 1.0
    monkeypatch.setitem(__import__("sys").modules, "own_metrics", module)


@pytest.mark.usefixtures("own")
def test_a_users_metric_stands_beside_the_others() -> None:
    assert score_all(some(1), metrics=Selection(("own_metrics.brevity",)))[0].get("brevity") == 0.25


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("own_metrics.broken", "metric broken gave nan"),
        ("own_metrics.missing", "no function 'missing'"),
        ("own_metrics.plain", "decorate the function with @metric"),
        ("os.execvp", "decorate the function with @metric"),
        ("no_such_module_here.f", "cannot import module"),
    ],
)
def test_a_users_bad_metric_is_named(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        score_all(some(1), metrics=Selection((path,)))


@pytest.mark.usefixtures("own")
def test_two_metrics_may_not_share_a_name() -> None:
    with pytest.raises(UserError, match="called alike"):
        load_metrics(["own_metrics.brevity", "own_metrics.brevity"])


def never(prediction: str, references: object) -> float:
    raise AssertionError


@pytest.mark.parametrize(
    ("bounds", "value", "said"),
    [
        ((0.0, 1.0), -0.01, "its range is 0 to 1."),
        ((0.0, 1.0), 1.01, "its range is 0 to 1."),
        ((0.0, 1.0), "1", "must return a finite number"),
        ((0.0, 1.0), float("nan"), "must return a finite number"),
        (None, float("inf"), "must return a finite number"),
    ],
)
def test_values_that_a_metric_may_not_give(
    bounds: tuple[float, float] | None, value: object, said: str
) -> None:
    own = Metric("own", "own", range=bounds, score=never)
    with pytest.raises(UserError, match=said) as caught:
        checked(own, value, 70 * "x")
    assert f"for {60 * 'x'!r}:" in str(caught.value)


def test_values_at_the_ends_of_a_range() -> None:
    own = Metric("own", "own", score=never)
    assert [checked(own, value, "") for value in (0, 1, True, 0.5, None)] == [0.0, 1.0, 1.0, 0.5, None]
    assert checked(Metric("free", "free", range=None, score=never), -1e9, "") == -1e9


def test_the_rule_of_a_task_is_told_by_all_its_references() -> None:
    def ask(task: str, reference: str, rule: Any = None) -> Prediction:
        return Prediction(
            Prompt(task, "c", "generation", "1", "in", (reference,), reference, word_rule=rule), "x"
        )

    given = [ask("a", "हाँ"), ask("a", "yes"), ask("b", "yes"), ask("c", "yes", "unicode")]
    assert [one.prompt.word_rule for one in with_rules(given)] == ["unicode", "unicode", "latin", "unicode"]


def test_one_answer_is_scored_by_what_each_instance_has_to_score_it_by() -> None:
    """Scores are shared by whoever is alike in all of it: text, references, choices, rule for words, likelihoods."""
    usual: dict[str, Any] = {"references": ("पढ़ no",), "choices": ("पढ़ no", "no"), "word_rule": "latin"}
    each: list[tuple[dict[str, Any], float | None, tuple[float | None, ...]]] = [
        ({}, -1.0, (0.0, 1.0, 1.0, 0.5, -0.5)),
        ({"choices": ("पढ़ no", "yes", "maybe", "no")}, -1.0, (0.0, 1.0, 1.0, 0.25, -0.5)),
        ({"choices": None}, -1.0, (0.0, 1.0, None, None, -0.5)),
        ({"choices": ("पढ़ no", "x")}, -1.0, (0.0, 1.0, 0.0, 0.5, -0.5)),
        ({"choices": ("a", "b")}, -1.0, (0.0, 1.0, 0.0, 0.0, -0.5)),
        ({"word_rule": "unicode"}, -1.0, (0.0, 2 / 3, 1.0, 0.5, -0.5)),
        ({}, -3.0, (0.0, 1.0, 1.0, 0.5, -1.5)),
        ({"references": ("पढ़ no", "no"), "choices": ("पढ़ no", "x")}, -1.0, (1.0, 1.0, 0.0, 0.5, -0.5)),
        ({}, None, (0.0, 1.0, 1.0, 0.5, None)),
    ]

    def asked(changes: dict[str, Any], likely: float | None) -> Prediction:
        own = {**usual, **changes}
        references = own["references"]
        prompt = Prompt("t", "c", "classification", "1", "in", target=references[0], **own)
        return Prediction(
            prompt, "no", None if likely is None else (Likelihood(likely, 2, 4),) * len(references)
        )

    names = ("exact_match", "rougeL", "format_correctness", "uniform_guess", PER_TOKEN)
    for turn in (each, each[::-1]):
        found = score_all(
            [asked(changes, likely) for changes, likely, _ in turn], metrics=Selection((PER_TOKEN,))
        )
        expected = [values for _, _, values in turn]
        assert [tuple(map(one.get, names)) for one in found] == [pytest.approx(one) for one in expected]


def test_equal_predictions_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def score(prediction: str, references: object) -> float:
        calls.append(prediction)
        return 1.0

    def answer(text: str, instance: str) -> Prediction:
        return Prediction(
            Prompt("t", "c", "generation", instance, "in", ("r",), "r", word_rule="latin"), text
        )

    given = [answer("a", "1"), answer("b", "2"), answer("a", "3")]
    found = score_predictions(given, [Metric("own", "own", score=score)])
    assert calls == ["a", "b"]
    assert [one.get("own") for one in found] == [1.0, 1.0, 1.0]
