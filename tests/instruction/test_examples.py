"""Variants of the examples."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from instruct_ablate.instruction import examples as e
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import shown_to, vary
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.instruction.words.corpus import sentences
from instruct_ablate.instruction.words.outputs import outputs
from instruct_ablate.normalisation import label_form
from instruct_ablate.schema import InstructionConfig, TasksConfig
from instruct_ablate.tasks.collection import read_tasks
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


def test_labels_that_exact_match_takes_for_one_are_drawn_as_one() -> None:
    many = tuple(Example(f"in {i}", "no") for i in range(400))
    task = make_task(positive_examples=many, label_space=("yes", "Yes.", "YES", "no"))
    drawn = [x.output for x in e.random_labels(task, CONTEXT).positive_examples]
    assert 150 < drawn.count("no") < 250
    assert set(drawn) == {"yes", "no"}


def test_how_often_a_label_is_right_is_told_by_all_instances_whatever_the_budget_draws() -> None:
    many = tuple(Example(f"in {i}", "positive") for i in range(20))
    whole = make_task(positive_examples=many, count=40)
    shown = {
        e.random_true_distribution(drawn, Context(3, (whole,))).positive_examples
        for drawn in (whole, whole.only(whole.instances[:1]))
    }
    assert len(shown) == 1
    assert {one.output for one in shown.pop()} == {"positive", "negative"}


@pytest.mark.parametrize(("correct", "right"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.9, 4), (1.0, 4)])
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


def test_ood_inputs_come_from_a_corpus_and_are_as_long_as_the_input_that_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text(
        "\n".join([f"Short one {n}." for n in range(20)] + [f"{n} " + "long " * 60 for n in range(20)])
    )
    rows = (
        Instance("short", "a b c", ("negative",)),
        Instance("long", " ".join(["word"] * 60), ("positive",)),
    )
    task, config = make_task(instances=rows), InstructionConfig(examples="ood_inputs", corpus=str(path))
    shown = shown_to(task, vary(task, config, CONTEXT), config, CONTEXT)
    assert [[len(e.input.split()) for e in shown(row).positive_examples] for row in rows] == [
        [3, 3],
        [61, 61],
    ]
    drawn = [x.output for x in e.random_labels(task, CONTEXT).positive_examples]
    for row in rows:
        assert [x.output for x in shown(row).positive_examples] == drawn, "random labels, as theirs"
        assert shown(row) == shown(row)
    assert len({one.input for one in shown(rows[0]).positive_examples}) == 2


def test_ood_inputs_are_others_for_each_instance() -> None:
    task, config = make_task(count=12), InstructionConfig(examples="ood_inputs")
    shown = shown_to(task, vary(task, config, CONTEXT), config, CONTEXT)
    every = {shown(row).positive_examples for row in task.instances}
    assert len(every) > 6
    assert {one.input for pair in every for one in pair} <= {
        line for lines in sentences(None).by_length.values() for line in lines
    }
    same = shown_to(task, task, InstructionConfig(), CONTEXT)
    assert len({id(same(row)) for row in task.instances}) == 1


def test_wrong_labels_of_multiple_choice_are_the_examples_own_options() -> None:
    given = tuple(Example(f"Which? {n} (A) a boat (B) a car (C) a cat", "(A)") for n in range(60))
    task = make_task(positive_examples=given, label_space=("(A)", "(B)", "(C)", "(D)", "(E)"))
    context = Context(0, correct=0.0, num_positive=60)
    assert {x.output for x in e.partly_correct(task, context).positive_examples} == {"(B)", "(C)"}


def test_random_labels_of_multiple_choice_are_the_examples_own_options() -> None:
    given = tuple(Example(f"Which? {n} (A) a boat (B) a car", "(A) a boat"[:3]) for n in range(60))
    task = make_task(positive_examples=given, label_space=("(A)", "(B)", "(C)", "(D)"))
    assert {x.output for x in e.random_labels(task, CONTEXT).positive_examples} == {"(A)", "(B)"}


def test_numbered_sentences_are_no_options_where_they_are_no_labels() -> None:
    given = tuple(Example(f"Sentence 1: It rained {n}. Sentence 2: It was wet.", "1") for n in range(60))
    task = make_task(positive_examples=given, label_space=("0", "1"))
    for variant in (e.random_labels, e.outputs_only, e.partly_correct):
        shown = variant(task, Context(0, correct=0.0, num_positive=60)).positive_examples
        assert {x.output for x in shown} <= {"0", "1"}
        assert {x.output for x in shown} >= {"0"}


@pytest.mark.slow
def test_random_labels_leave_no_label_space_there_is(shared: Path, tmp_path: Path) -> None:
    config = TasksConfig(reader="natural_instructions", root=str(shared / "natural-instructions"))
    read = read_tasks(config, tmp_path)
    variants = (e.random_labels, e.outputs_only, e.partly_correct)
    tasks = [task for task in (*read.train, *read.test) if task.label_space]
    for variant, task, seed in product(variants, tasks, range(3)):
        right = {label_form(output) for output in outputs(task)}
        shown = variant(task, Context(seed, num_positive=len(task.positive_examples))).positive_examples
        assert right.issuperset(label_form(one.output) for one in shown), (variant.__name__, task.name)


def test_random_labels_never_leave_the_space() -> None:
    many = tuple(Example(f"in {i}", "beside it") for i in range(60))
    drawn = e.random_labels(make_task(positive_examples=many), CONTEXT).positive_examples
    assert {x.output for x in drawn} == {"positive", "negative"}


def test_labels_by_the_true_distribution_by_words_and_permuted() -> None:
    many = tuple(Example(f"in {i}", "positive") for i in range(300))
    rows = tuple(Instance(str(i), f"row {i}", ("negative" if i < 9 else "positive",)) for i in range(10))
    task = make_task(positive_examples=many, instances=rows)
    often = e.random_true_distribution(task, CONTEXT).positive_examples
    assert 240 < sum(x.output == "negative" for x in often) < 300
    words = {x.output for x in e.random_english_words(task, CONTEXT).positive_examples}
    assert len(words) == 2
    assert words <= set(e.WORDS)
    three = make_task(
        positive_examples=(Example("a", "Good."), Example("b", "odd")), label_space=("good", "bad", "odd")
    )
    assert [x.output for x in e.permuted_labels(three, CONTEXT).positive_examples] == ["bad", "good"]


def test_free_outputs_of_instances_are_shown_to_nobody() -> None:
    """Before: both examples of a generation task were answers to instances that are tested under them."""
    shown = (Example("a", "one way"), Example("b", "another way"))
    rows = tuple(Instance(str(i), f"row {i}", (f"answer {i}",)) for i in range(20))
    task = make_task(positive_examples=shown, instances=rows, label_space=None)
    for seed in range(9):
        made = e.random_true_distribution(task, Context(seed, (task,))).positive_examples
        assert {one.output for one in made} <= {"one way", "another way"}


def test_a_permuted_label_is_never_another_right_one() -> None:
    """Of a task with several right outputs for one input the next of the space may be right, too."""
    labels = ("good", "bad", "odd")
    shown = (Example("a", "good"), Example("b", "good"), Example("c", "fine"))
    rows = (Instance("1", "b  ", ("Good", "BAD")),)
    task = make_task(positive_examples=shown, label_space=labels, instances=rows)
    assert [x.output for x in e.permuted_labels(task, CONTEXT).positive_examples] == ["bad", "odd", "good"]


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

    shown = tuple(Example(f"in {i}", ("positive", "negative")[i % 2]) for i in range(4))
    labels = ("positive", "negative", "neutral")
    task = make_task(positive_examples=shown, label_space=labels, negative_examples=())
    context = Context(7, (task,), num_positive=4)

    def made(variant: str) -> list[str]:
        return [f"{one.input} {one.output}" for one in getattr(e, variant)(task, context).positive_examples]

    assert made("random_labels") == ["in 0 negative", "in 1 positive", "in 2 positive", "in 3 neutral"]
    assert made("partly_correct") == ["in 0 positive", "in 1 negative", "in 2 neutral", "in 3 neutral"]
    assert made("permuted") == ["in 0 positive", "in 3 negative", "in 2 positive", "in 1 negative"]


def test_two_shown_examples_change_places_and_like_ones_stay() -> None:
    two = make_task()
    for seed in range(9):
        after = e.permuted(two, Context(seed, num_positive=2)).positive_examples
        assert after == two.positive_examples[::-1]
    same = make_task(positive_examples=(Example("a", "b"), Example("a", "b")))
    assert e.permuted(same, Context(0, num_positive=2)) == same
    assert e.permuted(two, Context(0, num_positive=1)) == two


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
        *("ood_inputs", "permuted", "permuted_labels", "random_english_words", "random_true_distribution"),
    }
    assert known["ood_inputs"].reads == "corpus"
    assert {name for name, one in known.items() if not one.chance} == {
        *("original", "empty", "inputs_only", "permuted_labels"),
    }
