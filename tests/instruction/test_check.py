"""Faults before training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.instruction.check import check_variant
from instruct_ablate.instruction.context import Context
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Example, Instance
from tests.conftest import make_task

LONE = {"label_space": ("a",), "positive_examples": (Example("q", "a"),), "negative_examples": (), "count": 0}


def fault(config: InstructionConfig, **changes: object) -> str:
    task = make_task(**changes)  # type: ignore[arg-type]
    return check_variant(task, config, Context(0, (task,))) or ""


@pytest.mark.parametrize(
    "name", ["original", "empty", "delusive", "random_labels", "partly_correct", "permuted"]
)
def test_an_ordinary_task_supports_the_examples(name: str) -> None:
    assert fault(InstructionConfig(examples=name)) == ""


def test_delusive_without_wrong_examples() -> None:
    told = fault(InstructionConfig(examples="delusive"), **LONE)
    assert told.startswith("task1_sentiment: instruction.examples=delusive: 0 of 1")
    assert "tasks.include" in told


def test_no_example_shown_needs_no_wrong_one() -> None:
    assert fault(InstructionConfig(examples="delusive", num_positive=0), **LONE) == ""
    assert fault(InstructionConfig(examples="delusive"), positive_examples=()) == ""


def test_partly_correct_without_wrong_outputs() -> None:
    assert "no output that would be wrong" in fault(
        InstructionConfig(examples="partly_correct", correct=0.0), **LONE
    )


def test_nothing_to_borrow() -> None:
    assert "there is no other task." in fault(InstructionConfig("misleading"))
    assert "there is no other task." in fault(InstructionConfig("misleading_moderate"))
    assert "of another category" in fault(InstructionConfig("misleading_extreme"))


def test_prompted_tasks_support_three_definitions_and_no_examples() -> None:
    assert fault(InstructionConfig("simplified"), prompted=True) == ""
    assert "original, simplified, empty" in fault(InstructionConfig("shuffled"), prompted=True)
    assert "without examples" in fault(InstructionConfig(examples="delusive"), prompted=True)


def test_delusive_without_label_space_and_negatives() -> None:
    bare = {"label_space": None, "negative_examples": ()}
    told = fault(InstructionConfig(examples="delusive"), **bare)
    assert "neither negative examples nor a label space" in told
    assert "tasks.include" in told
    assert fault(InstructionConfig(examples="delusive"), label_space=None) == ""


@pytest.mark.parametrize(
    "config",
    [InstructionConfig(), InstructionConfig("empty", "empty"), InstructionConfig("simplified", "empty")],
)
def test_prompted_tasks_may_be_shown_bare(config: InstructionConfig) -> None:
    assert fault(config, prompted=True) == ""


def test_a_task_without_another_keeps_its_examples() -> None:
    assert fault(InstructionConfig(examples="ood_inputs"), positive_examples=()) == ""
    assert fault(InstructionConfig(examples="ood_inputs", num_positive=0)) == ""


def test_another_task_can_be_borrowed_from() -> None:
    task, other = make_task(), make_task("task7_near", definition="Say whether the customer is content.")
    far = make_task("task8_far", definition="Translate it.", categories=("Translation",))
    for name in ("misleading", "misleading_moderate"):
        assert check_variant(task, InstructionConfig(name), Context(0, (task, other))) is None
    extreme = InstructionConfig("misleading_extreme")
    assert check_variant(task, extreme, Context(0, (task, far))) is None
    assert "no other task of another category" in (
        check_variant(task, extreme, Context(0, (task, other))) or ""
    )
    strange = InstructionConfig(examples="ood_inputs")
    french = replace(
        far, instances=(Instance("1", "Bonjour.", ("Hello.",)), Instance("2", "Merci.", ("Thanks.",)))
    )
    assert check_variant(task, strange, Context(0, (task, french))) is None


def test_of_two_examples_half_is_one_and_a_task_with_one_output_has_none_wrong() -> None:
    one_output = {"label_space": ("a",), "negative_examples": (), "count": 0,
                  "positive_examples": (Example("q", "a"), Example("r", "a"))}  # fmt: skip
    half = InstructionConfig(examples="partly_correct", correct=0.5)
    assert "no output that would be wrong" in fault(half, **one_output)
    assert fault(InstructionConfig(examples="partly_correct", correct=1.0), **one_output) == ""


def test_labels_of_one_output_cannot_change_places() -> None:
    permuted = InstructionConfig(examples="permuted_labels")
    assert "permuted_labels: the task has no output that would be wrong" in fault(permuted, **LONE)
    assert fault(permuted) == ""
    # each of the two is right for the second example, which is not shown where one is asked for
    both = {"label_space": ("a", "b"), "negative_examples": (), "count": 0,
            "positive_examples": (Example("p", "a"), Example("q", "a"), Example("q", "b"))}  # fmt: skip
    assert "no output that would be wrong" in fault(permuted, **both)
    assert fault(InstructionConfig(examples="permuted_labels", num_positive=1), **both) == ""


def test_half_right_needs_one_wrong_output_of_two() -> None:
    assert fault(InstructionConfig(examples="partly_correct", correct=1.0), **LONE) == ""
    assert fault(InstructionConfig(examples="partly_correct", correct=0.5)) == ""
