from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.metrics import Selection, find_measure, find_metric, registry, score_prediction
from instruct_ablate.metrics.measures import check_columns
from instruct_ablate.metrics.registry import (
    Metric,
    add,
    check_whole,
    describe,
    described,
    reading_model,
    registered,
)
from instruct_ablate.schema import ReportConfig
from instruct_ablate.scores import MetricDescription

CODE = """
from instruct_ablate.metrics import metric


@metric("length_of_answer", "answer\\nlength", unit="words", higher_is_better=False, range=None)
def length(prediction, references):
    return float(len(prediction.split()))
"""


def test_an_extension_file_that_registers_a_metric_scores_by_it(tmp_path: Path) -> None:
    file = tmp_path / "extension_of_registry_test.py"
    file.write_text(CODE)
    metrics = Selection(files=(str(file),)).load()
    assert [one.name for one in metrics if not one.is_built_in] == ["length_of_answer"]
    assert score_prediction("a b c", ("a",), None, metrics).get("length_of_answer") == 3.0
    assert find_measure("generation_length_of_answer").heading == "answer\nlength\n(gen.)"
    check_columns(ReportConfig(["length_of_answer", "to_untuned"]))


def test_what_a_record_says_of_a_metric_is_enough_for_tables() -> None:
    describe([MetricDescription("seen_elsewhere", "seen\nelsewhere")])
    assert find_metric("seen_elsewhere").unit == "%"
    assert "seen_elsewhere" in {one.name for one in described()}


@pytest.mark.parametrize("name", ["seed", "two words", "exact_match"])
def test_names_that_are_taken_or_are_none_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="name"):
        add(Metric(name, name, score=lambda prediction, references: 1.0))


def test_columns_that_are_none_are_refused() -> None:
    with pytest.raises(UserError, match="exact_match"):
        check_columns(ReportConfig(["exact_mach"]))
    with pytest.raises(UserError, match="once"):
        check_columns(ReportConfig(["rougeL", "rougeL"]))


def scored(prediction: str, references: object) -> float:
    return 1.0


@pytest.mark.parametrize(
    "name", ["instances", "kind", "category", "task", "cell", "to_reference", "to_untuned"]
)
def test_what_tables_have_anyway_is_no_name(name: str) -> None:
    with pytest.raises(UserError, match="take a name of letters"):
        add(Metric(name, name, score=scored))


def test_kinds_and_what_is_read_are_known_ones() -> None:
    with pytest.raises(UserError, match="unknown metric fresh: reads 'texts'"):
        add(Metric("fresh", "fresh", reads="texts", score=scored))
    for kinds in ((), ("translation",)):
        with pytest.raises(UserError, match="give one or both of classification, generation"):
            add(Metric("fresh", "fresh", kinds=kinds, score=scored))  # type: ignore[arg-type]
    assert "fresh" not in {one.name for one in described()}


def test_built_in_metrics_come_first_and_are_found_by_name_or_path() -> None:
    flags = [one.is_built_in for one in registered()]
    assert flags == sorted(flags, reverse=True)
    named = Selection(("rouge1",)).load()
    assert named == Selection().load(), "it is there already"
    with pytest.raises(UserError, match=r"unknown evaluation\.metrics 'rouge9'"):
        Selection(("rouge9",)).load()
    with pytest.raises(UserError, match="called alike among rouge1, rouge1"):
        Selection(("rouge1", "rouge1")).load()
    assert Selection(("instruct_ablate.metrics.built_in.rouge1",)).load() == Selection().load()


def test_a_metric_is_described_without_its_function() -> None:
    made = Metric("fresh", "fresh\nheading", "words", ("generation",), False, score=scored)
    assert made.description == MetricDescription("fresh", "fresh\nheading", "words", ("generation",), False)
    assert not made.is_built_in


def test_a_file_that_is_loaded_again_takes_only_its_own_metrics_away(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(registry._METRICS)
    monkeypatch.setattr(registry, "_METRICS", dict(before))

    def of_a_file(prediction: str, references: object) -> float:
        return 1.0

    of_a_file.__module__ = "a_file_of_mine"
    add(Metric("of_a_file", "of a file", score=of_a_file))
    registry._forget("a_file_of_mine")
    assert before == registry._METRICS


def test_metrics_of_whole_answers_are_refused_where_answers_are_cut() -> None:
    whole, part = Metric("whole_one", "w", whole=True, score=scored), Metric("part", "p", score=scored)
    check_whole([whole, part], False)
    check_whole([part], True)
    with pytest.raises(UserError, match=r"^evaluation\.metrics: whole_one reads whole answers"):
        check_whole([whole, part], True)
    check_whole([part], False, 0)
    with pytest.raises(
        UserError, match=r"whole_one reads whole answers, and evaluation\.answer_slack=0 ends long"
    ):
        check_whole([whole, part], False, 0)


def test_those_that_ask_the_model_are_named() -> None:
    assert reading_model([Metric("a", "a", score=scored), Metric("b", "b", reads="model", score=scored)]) == (
        "b",
    )


def test_a_path_names_its_own_function_among_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = "from instruct_ablate.metrics import metric\n\n\n"
    one = "@metric('{0}', '{0}')\ndef {0}_score(prediction, references):\n    return 1.0\n\n\n"
    (tmp_path / "two_metrics_of_mine.py").write_text(own + one.format("first_own") + one.format("second_own"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_METRICS", dict(registry._METRICS))
    (found,) = registry._named("two_metrics_of_mine.second_own_score")
    assert found.name == "second_own"


def test_columns_are_checked_under_their_group() -> None:
    with pytest.raises(UserError, match=r"^report\.columns: the entry '' is empty"):
        check_columns(ReportConfig([""]))
    with pytest.raises(UserError, match=r"report\.columns: rougeL, rougeL: name each column once"):
        check_columns(ReportConfig(["rougeL", "rougeL"]))
    check_columns(ReportConfig(["rougeL", "exact_match", "classification_rougeL"]))
