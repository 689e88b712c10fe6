"""Right and wrong answers."""

from __future__ import annotations

import random

import pytest

from instruct_ablate.instruction.words import outputs as module
from instruct_ablate.instruction.words.outputs import (
    as_label,
    distinct,
    equal_labels,
    merged_labels,
    outputs,
    right_answers,
    wrong_output,
)
from instruct_ablate.tasks.label_space import derive
from instruct_ablate.tasks.task import Example, Instance
from tests.conftest import make_task


def test_right_answers_come_from_examples_and_all_references() -> None:
    shown = (Example("Hello there", "c"),)
    task = make_task(instances=(Instance("1", "Hello   there", ("A.", "b")),), negative_examples=shown)
    assert right_answers(task, "Hello there") == {"a", "b"}
    assert right_answers(task, "A lovely evening.") == {"positive"}
    assert right_answers(task, "never seen") == frozenset()


def test_right_answers_do_not_outlive_their_task() -> None:
    one, other = make_task(), make_task(positive_examples=(Example("A lovely evening.", "other"),))
    assert right_answers(one, "A lovely evening.") == {"positive"}
    assert right_answers(other, "A lovely evening.") == {"other"}


def test_outputs_add_what_positive_examples_say() -> None:
    task = make_task(label_space=("positive",))
    assert outputs(task) == ("positive", "negative")
    assert as_label(task, "Negative.") == "negative"
    assert as_label(task, "neutral") is None


def test_outputs_of_generation_do_not_depend_on_the_sample_of_instances() -> None:
    assert outputs(make_task(count=2, label_space=None)) == outputs(make_task(count=6, label_space=None))
    lone = make_task(label_space=None, positive_examples=(Example("a", "b"),))
    assert outputs(lone) == ("b", "positive", "negative")
    assert as_label(lone, "anything") == "anything"


def test_wrong_output_is_never_right() -> None:
    task = make_task(label_space=("positive", "negative", "neutral"))
    draws = {wrong_output(task, task.positive_examples[0], random.Random(i)) for i in range(30)}
    assert draws == {"negative", "neutral"}
    single = make_task(label_space=("yes",), positive_examples=(Example("a", "Yes."),), instances=())
    assert wrong_output(single, single.positive_examples[0], random.Random(0)) is None


def test_an_examples_own_output_is_right_also_where_the_task_does_not_say_so() -> None:
    """Examples of an annotation, or shown under another input, are none of the task's."""
    task = make_task()
    for label, other in (("positive", "negative"), ("Negative.", "positive")):
        drawn = {wrong_output(task, Example("Not of the task.", label), random.Random(n)) for n in range(9)}
        assert drawn == {other}


def test_of_an_instances_references_the_first_is_an_output() -> None:
    rows = tuple(Instance(str(n), f"row {n}", (f"first {n}", f"second {n}")) for n in range(2))
    lone = make_task(label_space=None, positive_examples=(Example("a", "b"),), instances=rows)
    assert outputs(lone) == ("b", "first 0", "first 1")


def test_examples_that_all_answer_one_input_take_an_instances_output() -> None:
    same = (Example("q", "a"), Example("q", "b"))
    task = make_task(label_space=None, positive_examples=same)
    assert wrong_output(task, same[0], random.Random(0)) in ("positive", "negative")


def test_equal_labels_are_named() -> None:
    assert distinct(("Her", "his", "her")) == ("Her", "his")
    fault = equal_labels(make_task(label_space=("Her", "his", "her")))
    assert fault is not None
    assert "task1_sentiment: exact match takes 'Her' and 'her' for one" in fault
    assert "tasks.label_spaces" in fault
    assert equal_labels(make_task()) is None
    assert equal_labels(make_task(label_space=None)) is None


def test_a_task_s_instances_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = module._find_known
    monkeypatch.setattr(module, "_find_known", lambda task: read.append(task.name) or whole(task))
    task, other = make_task("a"), make_task("b")
    for one in (task, task, other, other, task):
        right_answers(one, "A lovely evening.")
    assert read == ["a", "b", "a"]


def test_blank_labels_are_none() -> None:
    assert distinct((" ", "a", "", "A.")) == ("a",)
    assert outputs(make_task(label_space=("positive", "Negative."))) == ("positive", "Negative.")


def test_generation_takes_two_outputs_of_examples_and_instances_only_beside_one() -> None:
    two = make_task(label_space=None, positive_examples=(Example("a", "x"), Example("b", "y")))
    assert outputs(two) == ("x", "y")


def test_equal_choices_of_an_instance_are_named_too() -> None:
    task = make_task(label_space=None, answer_choices=(("i", ("a", "b")), ("j", ("Yes", "yes."))))
    assert "takes 'Yes' and 'yes.' for one" in (equal_labels(task) or "")
    assert equal_labels(make_task(label_space=("a", "a"))) is None


@pytest.mark.parametrize("labels", [("-1", "0", "1"), ("1.0", "10"), ("+", "-")])
def test_labels_that_the_metric_merges_are_named_even_where_the_space_has_one_of_them(
    labels: tuple[str, ...],
) -> None:
    rows = tuple(Instance(str(n), str(n), (labels[n % len(labels)],)) for n in range(12))
    space = derive("Say one.", rows, ())
    task = make_task(label_space=space, instances=rows)
    ((first, second, *_),) = merged_labels(task)
    assert f"takes {first!r} and {second!r} for one" in (equal_labels(task) or "")
