from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.metrics import registry
from instruct_ablate.metrics.aggregation import aggregate, mean_scores, mean_values
from instruct_ablate.metrics.constraints import INSTRUCTION_STRICT
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.scores import InstanceScore, MetricDescription
from tests.report.cells import make_scores
from tests.scored import instance_score


def prediction(task: str, category: str, choices: tuple[str, ...] | None = None) -> Prediction:
    kind = "classification" if choices else "generation"
    return Prediction(Prompt(task, category, kind, "1", "", ("x",), "x", choices), "x")


CASES = [
    (prediction("t1", "B", ("x", "y")), instance_score(1, 1, 1, 1, 0.5, length=0.5)),
    (prediction("t1", "B", ("x", "y")), instance_score(0, 0.2, 0.1, 0, 0.5, length=1.0)),
    (prediction("t2", "B", ("x", "y", "z", "w")), instance_score(1, 1, 1, 1, 0.25)),
    (prediction("t3", "A"), instance_score(0, 0.5, 0.4)),
]


def test_overall_weighs_instances_and_task_mean_weighs_tasks() -> None:
    scores = aggregate(*zip(*CASES, strict=True))
    assert (scores.overall.name, scores.task_mean.name) == ("overall", "task_mean")
    assert scores.overall.instances == 4
    assert scores.overall.get("exact_match") == pytest.approx(50)
    assert scores.overall.get("rougeL") == pytest.approx(62.5)
    assert scores.task_mean.get("exact_match") == pytest.approx(50)
    assert scores.task_mean.get("rougeL") == pytest.approx((55 + 100 + 40) / 3)
    assert scores.task_mean.instances == 4


def test_kinds_and_categories_are_told_apart() -> None:
    scores = aggregate(*zip(*CASES, strict=True))
    assert [kind.name for kind in scores.kinds] == ["classification", "generation"]
    assert scores.kinds[0].get("exact_match") == pytest.approx(75)
    assert [category.name for category in scores.categories] == ["A", "B"]
    assert scores.categories[1].get("exact_match") == pytest.approx(200 / 3)
    assert [(t.score.name, t.kind, t.category) for t in scores.tasks][2] == ("t3", "generation", "A")


def test_kinds_stand_in_the_order_of_their_names_wherever_the_rows_do() -> None:
    scores = aggregate(*zip(*CASES[::-1], strict=True))
    assert [kind.name for kind in scores.kinds] == ["classification", "generation"]
    assert [category.name for category in scores.categories] == ["A", "B"]


def test_what_is_told_per_reference_weighs_instances_by_theirs_within_a_task_and_over_all() -> None:
    """Of constraints 1 of 1, 1 of 3 and 1 of 2 are met: 3 of 6 over all, 2 of 4 of one task; tasks weigh alike."""
    rows = [
        (with_references("t1", 1), InstanceScore(((INSTRUCTION_STRICT, 1.0), ("exact_match", 1.0)))),
        (with_references("t1", 3), InstanceScore(((INSTRUCTION_STRICT, 1 / 3), ("exact_match", 0.0)))),
        (with_references("t2", 2), InstanceScore(((INSTRUCTION_STRICT, 0.5),))),
        (with_references("t2", 9), InstanceScore((("exact_match", 1.0),))),
    ]
    scores = aggregate(*zip(*rows, strict=True))
    of_tasks = {task.score.name: task.score.get(INSTRUCTION_STRICT) for task in scores.tasks}
    assert of_tasks == pytest.approx({"t1": 100 * 2 / 4, "t2": 50.0})
    assert scores.overall.get(INSTRUCTION_STRICT) == pytest.approx(100 * 3 / 6)
    assert scores.overall.get("exact_match") == pytest.approx(200 / 3), "others weigh instances alike"
    assert scores.task_mean.get(INSTRUCTION_STRICT) == pytest.approx(50.0)


def with_references(task: str, number: int) -> Prediction:
    references = tuple(f"r{place}" for place in range(number))
    return Prediction(Prompt(task, "C", "generation", f"{task}-{number}", "", references, "r0", None), "x")


def test_label_space_scores_are_none_for_generation() -> None:
    scores = aggregate(*zip(*CASES, strict=True))
    assert scores.tasks[2].score.get("format_correctness") is None
    assert scores.tasks[2].score.get("uniform_guess") is None
    assert scores.overall.get("format_correctness") == pytest.approx(200 / 3)
    assert scores.kinds[0].get("format_correctness") == pytest.approx(75)
    assert scores.kinds[0].get("uniform_guess") == pytest.approx((50 + 25) / 2)


def test_further_metrics_are_averaged_where_they_are() -> None:
    assert aggregate(*zip(*CASES, strict=True)).overall.get("length") == pytest.approx(75)


def test_what_is_in_another_unit_is_averaged_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    own = MetricDescription("length", "length", unit="words", range=None)
    monkeypatch.setitem(registry._DESCRIBED, own.name, own)
    scores = aggregate(*zip(*CASES, strict=True))
    assert [one.get("length") for one in (scores.overall, scores.task_mean, scores.tasks[0].score)] == [
        0.75
    ] * 3
    assert scores.overall.get("exact_match") == pytest.approx(50)


def test_nothing_to_average_is_a_users_error() -> None:
    with pytest.raises(UserError, match="no predictions to score"):
        aggregate([], [])


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="4 predictions, but 3 scores"):
        aggregate([p for p, _ in CASES], [s for _, s in CASES][:3])


def test_values_are_averaged_where_they_are_in_the_metrics_order() -> None:
    rows = [(("own", 4.0), ("rougeL", 1.0)), (("exact_match", 1.0), ("rougeL", 0.0)), (("own", 2.0),)]
    assert mean_values(rows) == (("exact_match", 1.0), ("rougeL", 0.5), ("own", 3.0))
    assert mean_values([]) == ()
    assert mean_values([(("b", 0.1),)] * 10) == (("b", 0.1),)


def test_over_templates_each_weighs_alike() -> None:
    one, other = make_scores(50.0, rouge=40.0), make_scores(70.0, rouge=20.0)
    mean = mean_scores([one, other])
    assert mean.task_mean.get("exact_match") == 30.0
    one_overall = replace(one, overall=replace(one.overall, values=(("exact_match", 8.0),)))
    assert mean_scores([one_overall, other]).overall.get("exact_match") == (8.0 + 35.0) / 2
    assert [(kind.name, kind.get("rougeL"), kind.instances) for kind in mean.kinds] == [
        ("classification", 60.0, 100),
        ("generation", 30.0, 100),
    ]
    assert [task.score.get("rougeL") for task in mean.tasks] == [60.0, 30.0]
    assert [(task.kind, task.category, task.score.instances) for task in mean.tasks] == [
        (task.kind, task.category, task.score.instances) for task in one.tasks
    ]
    assert [one.name for one in mean.categories] == ["Logic", "Rewriting"]
    assert [one.get("exact_match") for one in mean.categories] == [60.0, 0.0]
    assert mean_scores([one]) is one
    assert mean_scores([one, replace(other, tasks=other.tasks[1:])]).tasks == mean.tasks[1:], "what all have"


def test_over_templates_the_first_ones_order_stays() -> None:
    one = make_scores(50.0)
    turned = replace(one, tasks=one.tasks[::-1], categories=one.categories[::-1])
    mean = mean_scores([one, turned])
    assert [task.score.name for task in mean.tasks] == [task.score.name for task in one.tasks]
    assert [category.name for category in mean.categories] == [category.name for category in one.categories]
