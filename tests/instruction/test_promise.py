"""A broken promise is noticed: each built-in check against a variant that cheats."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.instruction.catalogue import find, names
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.promise import PROMISES, broken
from instruct_ablate.instruction.variant import Slot
from instruct_ablate.tasks.task import Example, Instance
from tests.conftest import make_task

TASK = make_task()
FAR = make_task(
    "far",
    definition="Translate it.",
    categories=("Translation",),
    instances=(Instance("1", "Guten Morgen.", ("Good morning.",)),),
)
CONTEXT = Context(0, (TASK, FAR, make_task("near", definition="Is it praise?")))
ALL: list[Any] = [(slot, name) for slot in ("definition", "examples") for name in names(slot)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("slot", "name"), ALL)
def test_built_in_variants_keep_their_promise(slot: Slot, name: str) -> None:
    variant = find(slot, name)
    assert broken(variant, TASK, variant.function(TASK, CONTEXT), CONTEXT) == []


def test_every_built_in_variant_promises_something() -> None:
    assert set(ALL) == set(PROMISES)


@pytest.mark.parametrize(
    ("name", "definition", "message"),
    [
        ("original", "Other.", "differs"),
        ("empty", "Other.", "still has"),
        ("simplified", "Label: positive. Label: negative. Judge the film.", "leaks words outside.*film"),
        ("simplified", "Label: positive.", "does not name the labels"),
        ("shuffled", "Read the review.", "multiset"),
        ("shuffled", TASK.definition, "order of words is unchanged"),
        ("deleted", "Read the", "has 2 words"),
        ("deleted", " ".join(["film"] * 10), "no part of the original"),
        ("inserted", " ".join(["film"] * 14), "lost words"),
        ("replaced", TASK.definition, "another number of words"),
        ("no_stop_words", "Read the review.", "keeps the stop words the"),
        ("no_stop_words", "film", "no part"),
        ("no_label_list", "film", "no part"),
        ("irrelevant", "Judge it.", "none of the irrelevant"),
        ("misleading", TASK.definition, "own definition"),
        ("misleading_extreme", "From nowhere.", "no other task's"),
        ("task_name", "film", "not the task's name"),
    ],
)
def test_a_broken_definition_is_noticed(name: str, definition: str, message: str) -> None:
    faults = broken(find("definition", name), TASK, replace(TASK, definition=definition), CONTEXT)
    assert any(re.search(message, fault) for fault in faults), faults


@pytest.mark.parametrize(
    ("name", "examples", "message"),
    [
        ("original", (), "differs"),
        ("empty", TASK.positive_examples, "still has"),
        ("delusive", TASK.positive_examples, "is right"),
        ("delusive", (Example("q", "bad"), Example("r", "positive")), "outside the output space"),
        ("delusive", (Example("q", "positive"),), "1 wrong examples for 2"),
        ("delusive", (Example(" ", "positive"), Example("r", "positive")), "blank"),
        ("random_labels", (Example("q", "positive"),), "inputs differ"),
        ("partly_correct", TASK.positive_examples, "2 of 2 examples are right"),
        ("outputs_only", TASK.positive_examples, "both parts"),
        ("inputs_only", (Example("q", ""),), "number of examples"),
        ("ood_inputs", TASK.positive_examples, "the task's own"),
        ("ood_inputs", (), "outputs differ"),
        ("permuted", (), "examples differ"),
    ],
)
def test_a_broken_example_is_noticed(name: str, examples: tuple[Example, ...], message: str) -> None:
    faults = broken(find("examples", name), TASK, replace(TASK, positive_examples=examples), CONTEXT)
    assert any(message in fault for fault in faults), faults


def test_a_second_field_is_noticed() -> None:
    after = replace(TASK, definition="", instances=())
    assert "changes instances" in broken(find("definition", "empty"), TASK, after, CONTEXT)
