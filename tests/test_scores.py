from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from instruct_ablate.scores import (
    KINDS,
    InstanceScore,
    MetricDescription,
    Score,
    agree,
    value_of,
    with_values,
)
from tests.left_out import left_out


def test_scores_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        InstanceScore().values = ()  # type: ignore[misc]


def test_what_is_not_defined_has_no_value() -> None:
    score = Score("task", 1, (("rougeL", 0.0),))
    assert (score.get("rougeL"), score.get("uniform_guess")) == (0.0, None)


def test_fields_of_version_1_become_names_and_values() -> None:
    was = {"name": "t", "instances": 2, "exact_match": 50, "rouge1": 1.0, "rougeL": 2.0}
    further = {"format_correctness": None, "uniform_guess": 50.0, "extra": [["length", 3.0]]}
    values = [
        ["exact_match", 50.0],
        ["rouge1", 1.0],
        ["rougeL", 2.0],
        ["uniform_guess", 50.0],
        ["length", 3.0],
    ]
    assert with_values({**was, **further}) == {"name": "t", "instances": 2, "values": values}
    row = {"task": "t", "exact_match": 1.0, "in_label_space": True, "extra": {"length": 3.0}}
    assert with_values(row)["values"] == [["exact_match", 1.0], ["format_correctness", 1.0], ["length", 3.0]]


def test_reading_scores_imports_no_rouge_and_no_torch() -> None:
    heavy = "('torch', 'nltk', 'numpy')"
    code = f"import sys, instruct_ablate.metrics; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_metric_is_a_share_of_texts_where_nothing_else_is_said() -> None:
    described = MetricDescription("own", "Own")
    assert (described.unit, described.reads, described.range) == ("%", "text", (0.0, 1.0))
    assert described.higher_is_better
    assert described.kinds == KINDS == ("classification", "generation")


def test_values_agree_where_both_have_a_metric() -> None:
    one = (("a", 1.0), ("b", 2.0))
    assert agree(one, one)
    assert agree(one, (("b", 2.0), ("c", 3.0)))
    assert agree(one, ())
    assert not agree(one, (("b", 2.5),))
    assert value_of(one, "b") == 2.0
    assert value_of(one, "c") is None


def test_values_of_today_stay_as_they_are() -> None:
    fields = {"name": "t", "values": [["exact_match", 1.0]], "exact_match": 3.0}
    assert with_values(fields) == fields
    assert with_values(fields) is not fields


def test_every_field_of_version_1_becomes_a_value() -> None:
    was = {
        "exact_match": 1,
        "rouge1": 2,
        "rougeL": 3,
        "in_label_space": True,
        "uniform_guess": 5,
        "extra": None,
    }
    values = [
        ["exact_match", 1.0],
        ["rouge1", 2.0],
        ["rougeL", 3.0],
        ["format_correctness", 1.0],
        ["uniform_guess", 5.0],
    ]
    assert with_values(was) == {"values": values}
    assert with_values({"format_correctness": 4}) == {"values": [["format_correctness", 4.0]]}
    assert Score.brought_up({"name": "t", "rouge1": 2}) == {"name": "t", "values": [["rouge1", 2.0]]}


def test_what_is_left_out() -> None:
    assert left_out(MetricDescription) == {"unit": "%", "higher_is_better": True, "reads": "text"}
