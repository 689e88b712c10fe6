"""Variants of the examples."""

from __future__ import annotations

import pytest

from instruct_ablate.instruction import examples as e
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.tasks.task import Example, Instance, Task
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
    drawn = [x.output for x in e.random_labels(task, CONTEXT).positive_examples]
    assert [x.output for x in e.outputs_only(task, CONTEXT).positive_examples] == drawn, (
        "random labels, as theirs"
    )
    assert not any(x.input for x in e.outputs_only(task, CONTEXT).positive_examples)
    assert not any(x.output or x.explanation for x in e.inputs_only(task, CONTEXT).positive_examples)


def test_ood_inputs_come_from_another_category() -> None:
    task, near = make_task(), make_task("near")
    far = make_task("far", categories=("Translation",), instances=(Instance("1", "Guten Tag.", ("Hello.",)),))
    after = e.ood_inputs(task, Context(0, (task, near, far))).positive_examples
    assert {x.input for x in after} <= {i.input for i in far.instances}
    drawn = e.random_labels(task, Context(0, (task, near, far))).positive_examples
    assert [x.output for x in after] == [x.output for x in drawn], "random labels, as theirs"
    assert e.ood_inputs(task, Context(0, (task, near))) == task


def test_permuted_is_another_order_of_the_shown() -> None:
    task = make_task()
    assert e.permuted(task, CONTEXT).positive_examples == task.positive_examples[::-1]
    third = make_task(positive_examples=(*task.positive_examples, Example("c", "positive")))
    after = e.permuted(third, Context(0, num_positive=2)).positive_examples
    assert after[2] == third.positive_examples[2]
    single = make_task(positive_examples=task.positive_examples[:1])
    assert e.permuted(single, CONTEXT) == single


def test_draws_are_the_same_for_ever() -> None:
    """What a variant draws follows from seed, name and purpose: another purpose would make other data of old seeds."""

    def far(name: str, word: str) -> Task:
        inputs = tuple(Instance(str(i), f"{word} {i}", ("x",)) for i in range(9))
        return make_task(name, categories=("Other",), instances=inputs)

    shown = tuple(Example(f"in {i}", ("positive", "negative")[i % 2]) for i in range(4))
    labels = ("positive", "negative", "neutral")
    task = make_task(positive_examples=shown, label_space=labels, negative_examples=())
    context = Context(7, (task, far("task2_far", "far"), far("task3_far", "away")), num_positive=4)

    def made(variant: str) -> list[str]:
        return [f"{one.input} {one.output}" for one in getattr(e, variant)(task, context).positive_examples]

    assert made("random_labels") == ["in 0 negative", "in 1 positive", "in 2 positive", "in 3 neutral"]
    assert made("partly_correct") == ["in 0 positive", "in 1 negative", "in 2 neutral", "in 3 neutral"]
    assert made("ood_inputs") == ["away 7 negative", "away 3 positive", "away 0 positive", "away 3 neutral"]
    assert made("permuted") == ["in 0 positive", "in 3 negative", "in 2 positive", "in 1 negative"]


def test_two_shown_examples_change_places_and_like_ones_stay() -> None:
    two = make_task()
    for seed in range(9):
        after = e.permuted(two, Context(seed, num_positive=2)).positive_examples
        assert after == two.positive_examples[::-1]
    same = make_task(positive_examples=(Example("a", "b"), Example("a", "b")))
    assert e.permuted(same, Context(0, num_positive=2)) == same
    assert e.permuted(two, Context(0, num_positive=1)) == two


def test_strange_inputs_are_none_of_the_tasks_own() -> None:
    own = make_task()
    far = make_task(
        "far", categories=("Other",), instances=(*own.instances[:2], Instance("x", "strange", ("y",)))
    )
    after = e.ood_inputs(own, Context(0, (own, far))).positive_examples
    assert [one.input for one in after] == ["strange", "strange"]
    nothing = make_task("far", categories=("Other",))  # the same inputs
    assert e.ood_inputs(own, Context(0, (own, nothing))) == own
    empty = make_task("far", categories=("Other",), instances=())
    assert e.ood_inputs(own, Context(0, (own, empty))) == own


def test_a_part_that_is_gone_leaves_the_other() -> None:
    shown = make_task().positive_examples
    assert [(o.input, o.output) for o in e.outputs_only(make_task(), CONTEXT).positive_examples] == [
        ("", one.output) for one in shown
    ]
    assert [(o.input, o.output) for o in e.inputs_only(make_task(), CONTEXT).positive_examples] == [
        (one.input, "") for one in shown
    ]


def test_what_each_reads_and_shows_is_registered() -> None:
    known = {name: one for name, one in VARIANTS["examples"].items() if one.function.__module__ == e.__name__}
    assert {name for name, one in known.items() if one.parameter} == {"partly_correct"}
    assert known["partly_correct"].parameter == "correct"
    assert {name: one.shows for name, one in known.items() if one.shows != ("input", "output")} == {
        "outputs_only": ("output",),
        "inputs_only": ("input",),
    }
    assert known.keys() == {
        *("original", "empty", "random_labels", "partly_correct", "outputs_only", "inputs_only"),
        *("ood_inputs", "permuted"),
    }
