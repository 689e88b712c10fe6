from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from instruct_ablate.scores import InstanceScore, Score, with_values


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
