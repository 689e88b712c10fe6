"""Precision and recall of the rules."""

from __future__ import annotations

from instruct_ablate.instruction.audit.agreement import Agreement, agreement, table
from instruct_ablate.instruction.content_kinds.annotation import Annotation
from tests.conftest import make_task


def test_words_are_counted_by_kind() -> None:
    marked = (
        ("Given a word and", frozenset({"input"})),
        ("a hint, write it.", frozenset({"action", "details"})),
    )
    task = make_task("one", definition="Given a word and a hint, write it.", label_space=None)
    # rules: "Given a word and a hint," input; "write it." action and output
    found = {one.kind: one for one in agreement([task], Annotation({"one": marked}))}
    assert found["input"] == Agreement("input", 4, 2, 0)
    assert found["action"] == Agreement("action", 2, 0, 2)
    assert found["output"] == Agreement("output", 0, 2, 0)
    assert found["details"] == Agreement("details", 0, 0, 4)
    assert (found["action"].precision, found["action"].recall) == (100, 50)
    assert found["label_list"].precision == found["label_list"].recall == 0
    assert "action" in table(tuple(found.values()))
    assert not any(one.both for one in agreement([make_task("two")], Annotation({})))


def test_shares_of_single_words_and_of_none() -> None:
    assert (Agreement("input", 1, 0, 0).precision, Agreement("input", 1, 0, 0).recall) == (100, 100)
    assert (Agreement("input", 0, 0, 0).precision, Agreement("input", 0, 0, 0).recall) == (0, 0)
    assert (Agreement("input", 1, 1, 3).precision, Agreement("input", 1, 1, 3).recall) == (50, 25)
