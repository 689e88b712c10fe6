"""Variants of the examples."""

from __future__ import annotations

import pytest

from instruct_ablate.instruction import examples as e
from instruct_ablate.instruction.context import Context
from instruct_ablate.tasks.task import Example, Instance
from tests.conftest import make_task

CONTEXT = Context(0)


def test_original_and_empty() -> None:
    task = make_task()
    assert e.original_examples(task, CONTEXT) is task
    assert e.no_examples(task, CONTEXT).positive_examples == ()


def test_random_labels_are_uniform_over_the_space() -> None:
    many = tuple(Example(f"in {i}", "positive") for i in range(400))
    drawn = e.random_labels(make_task(positive_examples=many), CONTEXT).positive_examples
    assert [d.input for d in drawn] == [m.input for m in many]
    assert 150 < sum(d.output == "positive" for d in drawn) < 250
    assert {d.output for d in drawn} == {"positive", "negative"}


@pytest.mark.parametrize(("correct", "right"), [(0.0, 0), (0.25, 1), (0.5, 2), (1.0, 4)])
def test_partly_correct_keeps_the_share_among_the_shown(correct: float, right: int) -> None:
    many = tuple(Example(f"in {i}", "positive") for i in range(9))
    context = Context(0, correct=correct, num_positive=4)
    shown = e.partly_correct(make_task(positive_examples=many), context).positive_examples
    assert len(shown) == 4
    assert sum(x.output == "positive" for x in shown) == right
    assert {x.output for x in shown} <= {"positive", "negative"}


def test_parts() -> None:
    task = make_task()
    assert [x.output for x in e.outputs_only(task, CONTEXT).positive_examples] == ["positive", "negative"]
    assert not any(x.input for x in e.outputs_only(task, CONTEXT).positive_examples)
    assert not any(x.output or x.explanation for x in e.inputs_only(task, CONTEXT).positive_examples)


def test_ood_inputs_come_from_another_category() -> None:
    task, near = make_task(), make_task("near")
    far = make_task("far", categories=("Translation",), instances=(Instance("1", "Guten Tag.", ("Hello.",)),))
    after = e.ood_inputs(task, Context(0, (task, near, far))).positive_examples
    assert {x.input for x in after} <= {i.input for i in far.instances}
    assert [x.output for x in after] == ["positive", "negative"]
    assert e.ood_inputs(task, Context(0, (task, near))) == task


def test_permuted_is_another_order_of_the_shown() -> None:
    task = make_task()
    assert e.permuted(task, CONTEXT).positive_examples == task.positive_examples[::-1]
    third = make_task(positive_examples=(*task.positive_examples, Example("c", "positive")))
    after = e.permuted(third, Context(0, num_positive=2)).positive_examples
    assert after[2] == third.positive_examples[2]
    single = make_task(positive_examples=task.positive_examples[:1])
    assert e.permuted(single, CONTEXT) == single
