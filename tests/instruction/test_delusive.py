"""Delusive examples: the task's own negative ones as they stand, or mended; as many as the right ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.delusive import delusive, delusive_mended, wrong_negatives
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Example, Instance
from tests.conftest import make_task


def test_negative_examples_stand_in_the_positive_slot() -> None:
    task = make_task()
    after = delusive(task, Context(0))
    assert [(e.input, e.output) for e in after.positive_examples] == [
        ("A wonderful cast.", "negative"),
        ("It bored me to tears.", "positive"),
    ]
    assert not any(e.explanation for e in after.positive_examples)
    assert after.negative_examples == task.negative_examples


def test_negative_examples_are_shown_as_they_stand() -> None:
    """The paper's: outside the label space too, and even where one is right."""
    own = (Example("Dull.", "bad"), Example("A lovely evening.", "Positive."))
    after = delusive(make_task(negative_examples=own), Context(0))
    assert after.positive_examples == own
    mended = delusive_mended(make_task(negative_examples=own), Context(0))
    assert {e.output for e in mended.positive_examples} <= {"positive", "negative"}


def test_too_few_negative_examples_are_filled_up() -> None:
    task = make_task(negative_examples=(Example("Dull.", "bad"), Example("Seen.", " ")))
    after = delusive(task, Context(0)).positive_examples
    assert after[0] == Example("Dull.", "bad")
    assert after[1] == Example("A lovely evening.", "negative"), "a blank output shows nothing"


def test_the_first_negative_example_is_shown_of_every_real_task(shared: Path, tmp_path: Path) -> None:
    config = TasksConfig(reader="natural_instructions", root=str(shared / "natural-instructions"))
    tasks = read_tasks(config, tmp_path)
    for side in (tasks.train, tasks.test):
        shown = [(task, delusive(task, Context(0)).positive_examples[:1]) for task in side]
        other = [t.name for t, now in shown if now and now[0].output != t.negative_examples[0].output]
        assert set(other) <= {"task582_naturalquestion_answer_generation"}, "whose first one has no output"


def test_negatives_that_are_right_or_outside_the_space_are_left_aside() -> None:
    task = make_task(
        negative_examples=(
            Example("A lovely evening.", "Positive."),  # right, as the positive example says
            Example("Dull.", "bad"),  # no label
            Example("Dull.", ""),
            Example("Seen.", "negative"),
            Example("Fine.", "NEGATIVE"),
        ),
        instances=(Instance("1", "Seen.", ("negative",)),),
    )
    assert wrong_negatives(task) == (Example("Fine.", "negative"),)


def test_positive_examples_with_another_label_fill_up() -> None:
    task = make_task(negative_examples=())
    after = delusive_mended(task, Context(0))
    assert [e.input for e in after.positive_examples] == [e.input for e in task.positive_examples]
    assert [e.output for e in after.positive_examples] == ["negative", "positive"]


def test_generation_takes_another_output() -> None:
    task = make_task(negative_examples=(), label_space=None)
    after = delusive_mended(task, Context(0))
    for before, now in zip(task.positive_examples, after.positive_examples, strict=True):
        assert now.output != before.output


def test_same_at_every_budget() -> None:
    whole = make_task(negative_examples=(), label_space=None, positive_examples=(Example("q", "a"),), count=6)
    context = Context(0, (whole,))
    sample = make_task(
        negative_examples=(), label_space=None, positive_examples=(Example("q", "a"),), count=1
    )
    assert (
        delusive_mended(sample, context).positive_examples
        == delusive_mended(whole, context).positive_examples
    )
    assert delusive_mended(whole, context).positive_examples[0].output != "a"


def test_what_is_right_is_told_by_all_instances_whatever_the_budget_draws() -> None:
    """A negative example whose answer an instance beyond the budget says to be right is not shown as a wrong one."""
    negatives = (Example("Seen.", "negative"), Example("Dull.", "positive"))
    known = (Instance("1", "Seen.", ("negative",)), Instance("2", "Fine.", ("positive",)))
    whole = make_task(negative_examples=negatives, instances=known)
    for drawn in (whole, whole.only(known[1:])):
        after = delusive_mended(drawn, Context(0, (whole,))).positive_examples
        assert after[0] == Example("Dull.", "positive")
        assert "Seen." not in {one.input for one in after}


def test_an_input_is_shown_twice_only_where_nothing_else_is_left() -> None:
    task = make_task(negative_examples=(Example("A lovely evening.", "negative"),))
    after = delusive_mended(task, Context(0)).positive_examples
    assert [e.input for e in after] == ["A lovely evening.", "I want my money back."]
    for seed in range(8):  # with a third label there would be another wrong output for it
        mixed = replace(task, label_space=("positive", "negative", "mixed"))
        inputs = [e.input for e in delusive_mended(mixed, Context(seed)).positive_examples]
        assert inputs == ["A lovely evening.", "I want my money back."]
    three = make_task(
        label_space=("positive", "negative", "mixed"),
        positive_examples=(Example("Fine.", "positive"), Example("Fine.", "positive")),
        negative_examples=(Example("Fine.", "mixed"),),
    )
    shown = [delusive_mended(three, Context(seed)).positive_examples for seed in range(10)]
    assert (Example("Fine.", "mixed"), Example("Fine.", "negative")) in shown


def test_nothing_to_give_leaves_no_example() -> None:
    task = make_task(
        negative_examples=(), label_space=("a",), positive_examples=(Example("q", "a"),), count=0
    )
    assert delusive_mended(task, Context(0)).positive_examples == ()


def test_draws_are_the_same_for_ever() -> None:
    """What a variant draws follows from seed, name and purpose: another purpose would make other data of old seeds."""
    shown = tuple(Example(f"in {i}", ("positive", "negative")[i % 2]) for i in range(4))
    labels = ("positive", "negative", "neutral")
    task = make_task(positive_examples=shown, label_space=labels, negative_examples=())
    after = delusive_mended(task, Context(7)).positive_examples
    assert [one.output for one in after] == ["negative", "neutral", "negative", "neutral"]


def test_an_input_that_is_shown_already_comes_last_of_those_that_fill_up() -> None:
    task = make_task(
        negative_examples=(Example("A lovely evening.", "negative"),),
        positive_examples=(
            Example("A lovely evening.", "positive"),
            Example("I want my money back.", "negative"),
            Example("Superb.", "positive"),
        ),
    )
    for variant in (delusive, delusive_mended):
        assert variant(task, Context(0)).positive_examples == (
            Example("A lovely evening.", "negative"),
            Example("I want my money back.", "positive"),
            Example("Superb.", "negative"),
        )


def test_the_same_wrong_example_is_shown_once() -> None:
    one = Example("A lovely evening.", "negative")
    task = make_task(
        negative_examples=(one,), positive_examples=(Example("A lovely evening.", "positive"),) * 2
    )
    assert delusive(task, Context(0)).positive_examples == (one,)
