"""The task: which kind it is, which instances lack answer choices, which category counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.tasks.task import Example, Instance, Task, TaskCollection
from tests.conftest import make_task
from tests.left_out import left_out

OPEN = Task("t", "Write.", tuple(Instance(f"i{number}", "in", ("out",)) for number in range(3)))


def choices(*ids: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((one, ("yes", "no")) for one in ids)


def test_a_label_space_makes_a_classification():
    task = make_task()
    assert task.kind == "classification"
    assert task.unlisted == 0
    assert replace(task, label_space=()).kind == "classification", "an empty space is closed, too"


def test_without_choices_a_task_is_generation():
    assert OPEN.kind == "generation"
    assert OPEN.unlisted == 3
    assert replace(OPEN, instances=()).kind == "generation", "nothing says that it is closed"
    assert replace(OPEN, instances=()).unlisted == 1


@pytest.mark.parametrize(("ids", "kind", "unlisted"), [("012", "classification", 0), ("02", "generation", 1)])
def test_choices_of_each_instance_make_a_classification_where_all_have_them(ids, kind, unlisted):
    task = replace(OPEN, answer_choices=choices(*(f"i{number}" for number in ids)))
    assert (task.kind, task.unlisted) == (kind, unlisted)


def test_the_first_category_counts():
    assert make_task(categories=("Logic", "Rewriting")).category == "Logic"
    assert OPEN.category == "Uncategorised"


def test_what_a_source_need_not_say():
    assert Example("in", "out").explanation == ""
    assert not OPEN.prompted, "its definition and the template make the prompt"
    assert (OPEN.positive_examples, OPEN.negative_examples, OPEN.label_space) == ((), (), None)
    assert TaskCollection("c", (), ()).content_hash == ""


def test_choices_of_each_instance_are_left_out_of_what_is_printed():
    assert "yes" not in repr(replace(OPEN, answer_choices=choices("i0")))


def test_some_instances_bring_their_own_choices_alone():
    task = replace(OPEN, answer_choices=choices("i0", "i2"))
    some = task.only(OPEN.instances[:2])
    assert [one.id for one in some.instances] == ["i0", "i1"]
    assert some.answer_choices == choices("i0")
    assert OPEN.only(()).answer_choices == ()


def test_what_is_left_out():
    assert left_out(Task) == {"prompted": False}
