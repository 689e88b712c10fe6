"""Hypotheses: every form that the experiment files use is read; what is not understood is said."""

from __future__ import annotations

import re

import pytest
import yaml

from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.errors import UserError
from instruct_ablate.hypotheses import Clause, parse_hypothesis


def test_equals():
    (clause,) = parse_hypothesis("simplified equals original on exact_match within 2 points").clauses
    assert clause == Clause("simplified", "equals", "original", "exact_match", 2.0, "same")


def test_exceeds():
    (clause,) = parse_hypothesis("original exceeds untuned on rougeL by 5").clauses
    assert clause == Clause("original", "exceeds", "untuned", "rougeL", 5.0, "same")


def test_a_second_clause_leans_on_the_first():
    first, second = parse_hypothesis(
        "delusive equals original on rougeL within 1 at training; is lower at test"
    ).clauses
    assert first.where == "training"
    assert second == Clause("delusive", "is lower", "original", "rougeL", 0.0, "test")


def test_labels_with_parameters():
    (clause,) = parse_hypothesis("deleted(0.2)+delusive is lower than original on rougeL by 1.5").clauses
    assert (clause.left, clause.margin) == ("deleted(0.2)+delusive", 1.5)


def test_a_third_clause_leaves_out_what_the_second_one_said() -> None:
    text = "simplified equals original on rougeL within 2 at training; exceeds delusive by 1; is lower on exact_match"
    clauses = parse_hypothesis(text).clauses
    assert [(one.left, one.right, one.metric) for one in clauses] == [
        ("simplified", "original", "rougeL"),
        ("simplified", "delusive", "rougeL"),
        ("simplified", "delusive", "exact_match"),
    ]
    assert [(one.margin, one.where) for one in clauses] == [(2.0, "training"), (1.0, "same"), (0.0, "same")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("simplified resembles original", "not understood"),
        ("simplified equals original on exact_match", "within how many points"),
        ("simplified equals original on exact_match by 2", "`within`"),
        ("simplified equals original on exact_macth within 2", "did you mean 'exact_match'"),
        ("simplified exceeds original by 2", "lacks a side or its metric"),
        ("; is lower at test", "not understood"),
    ],
)
def test_what_is_not_understood_is_said(text: str, says: str):
    with pytest.raises(UserError, match=says):
        parse_hypothesis(text)


def test_every_shipped_hypothesis_is_read():
    found = 0
    for path in (config_directory() / "experiment").glob("*.yaml"):
        for text in yaml.safe_load(path.read_text(encoding="utf-8")).get("hypotheses", []):
            assert parse_hypothesis(text).clauses
            found += 1
    assert found >= 10


def test_every_shipped_hypothesis_is_of_what_its_study_tests():
    """A variant that is trained on, but not tested on, can be claimed about `at training` alone."""
    for path in (config_directory() / "experiment").glob("*.yaml"):
        study = yaml.safe_load(path.read_text(encoding="utf-8"))
        tested = study.get("evaluation", {}).get("instructions", ["same"])
        sweeper = study.get("hydra", {}).get("sweeper", {})
        grids = [sweeper.get("params") or {}, *(sweeper.get("grids") or [])]
        trained = {
            name for grid in grids for name in re.split(r",(?![^(]*\))", str(grid.get("instruction", "")))
        }
        for text in study.get("hypotheses", []):
            for clause in parse_hypothesis(text).clauses:
                sides = {clause.left, clause.right} & trained if clause.where == "same" else set()
                assert "same" in tested or len(sides) < 2 or sides <= set(tested), f"{path.name}: {text}"


def test_a_claim_on_single_tasks():
    (clause,) = parse_hypothesis(
        "a equals b on exact_match within 2 points for 90 % of tasks at test"
    ).clauses
    assert (clause.share, clause.margin, clause.where) == (0.9, 2.0, "test")
    assert parse_hypothesis("a equals b on exact_match within 2").clauses[0].share is None
    for text in (
        "a exceeds b on exact_match for 90 % of tasks",
        "a equals b on rougeL within 2 for 100% of tasks",
    ):
        with pytest.raises(UserError, match="of tasks` goes with `equals`"):
            parse_hypothesis(text)


@pytest.mark.parametrize("percent", ["0.5", "1", "50", "99", "99.5"])
def test_shares_of_tasks_between_none_and_all(percent: str):
    (clause,) = parse_hypothesis(f"a equals b on rougeL within 2 for {percent} % of tasks").clauses
    assert clause.share == float(percent) / 100


@pytest.mark.parametrize("percent", ["0", "100", "101"])
def test_shares_that_are_none_or_all(percent: str):
    with pytest.raises(UserError, match="N between 0 and 100"):
        parse_hypothesis(f"a equals b on rougeL within 2 for {percent} % of tasks")
