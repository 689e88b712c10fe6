from __future__ import annotations

import pytest

from instruct_ablate.tasks.languages import is_other_script, rule_of, word_rule, word_rules
from instruct_ablate.tasks.task import Instance, Task


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Yes, αβ.", False),
        ("naïve façade", False),
        ("हाँ, यह सही है", True),
        ("它是很红 red", True),
        ("ｗｉｄｅ", False),
        ("12", False),
        ("+ ÷", False),
    ],
)
def test_most_letters_decide_the_script(text: str, other: bool) -> None:
    assert is_other_script(text) is other


@pytest.mark.parametrize(
    ("other", "languages", "rule"),
    [
        (0, (), "latin"), (1, (), "latin"), (2, (), "unicode"), (20, (), "unicode"),
        (0, ("Hindi",), "latin"), (2, ("Hindi",), "unicode"), (2, ("English", "Hindi"), "unicode"),
        (2, ("English",), "latin"), (9, ("English",), "latin"), (10, ("English",), "unicode"),
    ],
)  # fmt: skip
def test_one_rule_for_a_task_by_its_references_and_languages(
    other: int, languages: tuple[str, ...], rule: str
) -> None:
    references = [*["हाँ"] * other, *["yes"] * (20 - other)]
    assert word_rule(references, languages) == rule
    rows = tuple(Instance(str(n), "x", (text,)) for n, text in enumerate(references))
    assert rule_of(Task("t", "d", rows, languages=languages)) == rule


def test_a_task_without_references_is_cut_as_ever() -> None:
    assert word_rule([]) == "latin"


def test_rules_of_several_tasks_by_rows_of_them() -> None:
    rows = [("hindi", ["हाँ"]), ("plain", ["yes"]), ("hindi", ["yes", "no"]), ("mixed", ["हाँ", "yes", "no"])]
    assert word_rules(rows) == {"hindi": "unicode", "plain": "latin", "mixed": "unicode"}
    declared = {"mixed": (" English ",), "other": ("Hindi",)}
    assert word_rules(rows, declared) == {"hindi": "unicode", "plain": "latin", "mixed": "latin"}


@pytest.mark.parametrize(("text", "other"), [("aα", False), ("aαβ", True), ("α", True), ("é", False)])
def test_half_of_the_letters_are_not_most(text: str, other: bool) -> None:
    assert is_other_script(text) is other
