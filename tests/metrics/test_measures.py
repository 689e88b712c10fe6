"""Measures: which name stands for which mean, what is written above it, and which columns a report refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.metrics import registry
from instruct_ablate.metrics.measures import (
    DIFFERENCES,
    USUAL,
    check_columns,
    check_shown,
    find_measure,
    measure_names,
)
from instruct_ablate.metrics.registry import AT_REPORT, described, metric, named_metrics, registered
from instruct_ablate.schema import ReportConfig
from instruct_ablate.scores import Scores, TaskScore
from tests.scored import score

LABELLED = score("classification", 30, 0.5, 41.0, 42.0)
FREE = score("generation", 10, 0.25, 43.0, 44.0)
SCORES = Scores(
    score("overall", 40, 1.0, 45.0, 46.0),
    score("task_mean", 40, 2.0, 47.0, 48.0),
    (LABELLED, FREE),
    (),
    (TaskScore("classification", "Logic", LABELLED), TaskScore("generation", "Rewriting", FREE)),
)


@pytest.mark.parametrize(
    ("name", "value", "by_task"),
    [
        ("exact_match", 0.5, [0.5, None]),  # defined for one kind: that kind's mean
        ("rougeL", 48.0, [42.0, 44.0]),
        ("classification_rougeL", 42.0, [42.0, None]),
        ("generation_rougeL", 44.0, [None, 44.0]),
        ("format_correctness", None, [None, None]),  # nowhere scored
    ],
)
def test_a_measure_is_the_mean_over_the_tasks_of_its_kind(name, value, by_task):
    measure = find_measure(name)
    assert measure.value(SCORES) == value
    assert [measure.task_value(task) for task in SCORES.tasks] == by_task


def test_a_kind_without_tasks_has_no_value():
    assert find_measure("generation_rougeL").value(replace(SCORES, kinds=(LABELLED,))) is None


@pytest.mark.parametrize(
    ("name", "heading", "label"),
    [
        ("exact_match", "exact\nmatch", "exact match (classification), %"),
        ("rougeL", "ROUGE-L\n(all)", "ROUGE-L (all tasks), %"),
        ("classification_rougeL", "ROUGE-L\n(class.)", "ROUGE-L (classification), %"),
        ("generation_rougeL", "ROUGE-L\n(gen.)", "ROUGE-L (generation), %"),
    ],
)
def test_headings_say_the_kind_where_the_metric_has_several(name, heading, label):
    measure = find_measure(name)
    assert (measure.heading, measure.label) == (heading, label)


def test_every_name_is_a_measure_and_metrics_of_one_kind_have_one_name():
    names = measure_names()
    assert [find_measure(name).name for name in names] == list(names)
    assert len(set(names)) == len(names)
    assert "generation_rouge1" in names
    assert "classification_exact_match" not in names
    several = [metric.name for metric in described() if len(metric.kinds) == 2]
    assert names[len(described()) :] == tuple(
        f"{kind}_{name}" for name in several for kind in ("classification", "generation")
    )


@pytest.mark.parametrize("name", ["exactmatch", "generation_", "generation_nothing", "rougeL_generation"])
def test_what_is_no_measure_is_refused(name):
    with pytest.raises(UserError, match=f"unknown measure '{name}'"):
        find_measure(name)


def test_columns_are_measures_and_differences_each_once():
    check_columns(ReportConfig(columns=["rougeL", *DIFFERENCES]))
    with pytest.raises(UserError, match=r"unknown report.columns 'rouge'.*to_untuned"):
        check_columns(ReportConfig(columns=["rouge"]))
    with pytest.raises(UserError, match=r"for tasks of one kind classification_ or generation_ before"):
        check_columns(ReportConfig(columns=["a"]))
    with pytest.raises(UserError, match="name each column once"):
        check_columns(ReportConfig(columns=["rougeL", "exact_match", "rougeL"]))


def test_percentages_are_counted_in_points_and_rounded_coarsely():
    share, nats = find_measure("exact_match"), find_measure("reference_log_likelihood")
    assert (share.percent, share.steps, share.digits) == (True, "points", 1)
    assert (nats.percent, nats.steps, nats.digits) == (False, "nats/token", 2)


HIDDEN = (
    "strict_exact_match",
    "rouge1",
    "consistency",
    "consistency_over_tests",
    "consistency_over_templates",
)


@pytest.mark.parametrize(
    "name", [one.name for one in registered() if one.module.startswith("instruct_ablate.")]
)
def test_a_metric_that_is_asked_for_alone_is_shown_or_refused(name: str) -> None:
    named = named_metrics([name])
    if name in HIDDEN:
        with pytest.raises(
            UserError, match=rf"^evaluation\.metrics: {name} would be in no table.*report\.columns=\["
        ):
            check_shown(named, ())
        with pytest.raises(UserError, match=rf"add report\.columns=\[rougeL,{name}\]"):
            check_shown(named, ("rougeL",))
        check_shown(named, ("rougeL", name))
    else:
        assert name in {find_measure(one).metric.name for one in USUAL if one not in DIFFERENCES} or not (
            named[0].is_built_in or named[0].reads in AT_REPORT
        )
        check_shown(named, ())


def test_a_measure_of_one_kind_shows_its_metric() -> None:
    check_shown(named_metrics(["rouge1"]), ("classification_rouge1", "to_reference"))


def test_ones_own_metric_of_several_predictions_is_in_no_usual_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_METRICS", dict(registry._METRICS))

    @metric("longest_of_seeds", reads="cells")
    def longest(predictions: list[str], references: list[str]) -> float | None:
        return None

    with pytest.raises(UserError, match=r"would be in no table.*\[exact_match,rougeL,longest_of_seeds\]"):
        check_shown(named_metrics(["longest_of_seeds"]), ())
