"""A variant that alters no prompt is found, whatever the reason; one that is set to do nothing is noted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.instruction.context import Context
from instruct_ablate.prompt.effect import LOOKED_AT, Bytes, Effect, View
from instruct_ablate.prompt.prompt import Tokens
from instruct_ablate.schema import InstructionConfig, PromptConfig
from instruct_ablate.tasks.task import Task
from tests.conftest import make_task
from tests.prompt.words import WordTokens

ORIGINAL = InstructionConfig()
TASKS = (make_task(), make_task("task2_far", definition="Translate it.", categories=("Translation",)))
BARE = tuple(replace(task, positive_examples=(), negative_examples=()) for task in TASKS)


def never() -> Tokens:
    raise AssertionError("no tokenizer is needed where prompts certainly fit")


def view(tasks: tuple[Task, ...] = TASKS, room: int = 10_000, template: str = "plain") -> View:
    return View(tasks, Context(0, tasks), PromptConfig(template, room), never, "test")


@pytest.mark.parametrize("template", ["plain", "tk_instruct", "alpaca"])
@pytest.mark.parametrize(
    "instruction",
    [
        InstructionConfig("simplified"),
        InstructionConfig("deleted", rate=0.2),
        InstructionConfig(examples="delusive"),
        InstructionConfig(examples="empty"),
        InstructionConfig("empty", "empty"),
        InstructionConfig("response_only", "empty"),
        InstructionConfig(examples="partly_correct", correct=0.5),
        InstructionConfig(examples="permuted"),
        InstructionConfig("misleading"),
    ],
)
def test_what_alters_prompts_is_let_through(instruction: InstructionConfig, template: str) -> None:
    effect = view(template=template).effect(instruction, ORIGINAL)
    assert (effect.fault, effect.notes) == (None, ())


def test_the_reference_alters_nothing_and_need_not() -> None:
    assert view(BARE).effect(ORIGINAL, ORIGINAL).fault is None
    assert (
        view(BARE)
        .effect(InstructionConfig("empty", "delusive"), InstructionConfig("empty", "delusive"))
        .fault
        is None
    )


@pytest.mark.parametrize("examples", ["delusive", "empty", "random_labels", "permuted"])
def test_examples_of_tasks_without_examples_are_refused(examples: str) -> None:
    fault = view(BARE).effect(InstructionConfig(examples=examples), ORIGINAL).fault
    assert fault is not None
    assert "no prompt of the 2 test tasks (task1_sentiment, task2_far) differs from the reference's" in fault
    assert "The tasks have no examples." in fault


def test_a_definition_that_has_nothing_to_alter_is_refused() -> None:
    fault = view().effect(InstructionConfig("no_input_content"), ORIGINAL).fault
    assert fault is not None
    assert fault.startswith("instruction=no_input_content: no prompt")
    assert "no examples" not in fault


def test_only_the_first_tasks_are_named() -> None:
    many = tuple(replace(BARE[0], name=f"task{number}") for number in range(6))
    fault = view(many).effect(InstructionConfig(examples="delusive"), ORIGINAL).fault
    assert fault is not None
    assert "of the 6 test tasks (task0, task1, task2, task3, task4, ...) differs" in fault
    assert "task4)" in (view(many[:5]).effect(InstructionConfig(examples="delusive"), ORIGINAL).fault or "")


@pytest.mark.parametrize(
    ("instruction", "why"),
    [
        (InstructionConfig("deleted", rate=0), "rate=0"),
        (InstructionConfig("inserted", rate=0), "rate=0"),
        (InstructionConfig(examples="delusive", num_positive=0), "num_positive=0"),
        (InstructionConfig(examples="partly_correct", correct=1), "correct=1"),
        (InstructionConfig(examples="permuted", num_positive=1), "num_positive=1"),
    ],
)
def test_what_is_set_to_do_nothing_is_noted(instruction: InstructionConfig, why: str) -> None:
    effect = view().effect(instruction, replace(ORIGINAL, num_positive=instruction.num_positive))
    assert effect.fault is None
    (note,) = effect.notes
    assert f": {why}, so test tasks are shown as before" in note


def test_a_part_that_does_nothing_beside_one_that_does_is_noted() -> None:
    effect = view(BARE).effect(InstructionConfig("simplified", "delusive"), ORIGINAL)
    assert effect.fault is None
    assert effect.notes == ("instruction=simplified+delusive: delusive alone alters no prompt of test tasks",)
    idle = view().effect(
        InstructionConfig("simplified", "delusive", num_positive=0), InstructionConfig(num_positive=0)
    )
    assert idle.fault is None
    assert idle.notes == (
        "instruction=simplified+delusive: num_positive=0, so delusive alone alters no prompt of test tasks",
    )
    none = InstructionConfig("response_only", "empty", num_positive=0)
    assert view().effect(none, InstructionConfig(num_positive=0)) == Effect()
    assert view().effect(InstructionConfig("simplified", "delusive"), ORIGINAL).notes == ()


def test_of_tasks_without_an_instance_nothing_is_said() -> None:
    """That there is nothing to train on is told by another check; the variant is not at fault."""
    empty = tuple(replace(task, instances=()) for task in TASKS)
    assert view(empty).effect(InstructionConfig("simplified"), ORIGINAL) == Effect()


def test_what_is_cut_off_every_prompt_is_found_with_the_tokenizer() -> None:
    """A definition at the end of a prompt that is cut before it: altered, but never seen."""
    long = tuple(
        replace(task, instances=tuple(replace(one, input="word " * 50) for one in task.instances))
        for task in TASKS
    )

    def tasks(room: int) -> View:
        return replace(view(long, room, "effect_backwards"), exact=WordTokens)

    from instruct_ablate.prompt.template import TEMPLATES

    TEMPLATES["effect_backwards"] = lambda told, asked, room: f"{asked.input} {told.definition}"
    try:
        assert tasks(40).effect(InstructionConfig("simplified"), ORIGINAL).fault is not None
        assert tasks(51).effect(InstructionConfig("simplified"), ORIGINAL).fault is None
        assert tasks(1000).effect(InstructionConfig("simplified"), ORIGINAL).fault is None
    finally:
        del TEMPLATES["effect_backwards"]


def test_prompts_of_a_collection_s_own_differ_by_their_inputs() -> None:
    prompted = tuple(
        replace(
            task,
            prompted=True,
            definition="",
            positive_examples=(),
            instances=tuple(
                replace(one, input=f"Is this good? {one.input} Say yes or no.") for one in task.instances
            ),
        )
        for task in TASKS
    )
    assert view(prompted).effect(InstructionConfig("empty"), ORIGINAL).fault is None
    fault = view(prompted).effect(InstructionConfig(examples="empty"), ORIGINAL).fault
    assert fault is not None
    assert "no examples" not in fault


def test_bytes_never_count_less_than_a_tokenizer() -> None:
    tokens = Bytes()
    assert tokens.count("été \ud800") >= 8
    assert (tokens.clip("a b", 1), tokens.chat("a b")) == ("a b", "a b")


@pytest.mark.parametrize("first", [LOOKED_AT - 1, LOOKED_AT])
def test_so_many_instances_of_a_task_are_looked_at(first: int) -> None:
    """Of a task of prompts of its own, all but one of which stay as they are."""
    from instruct_ablate.instruction.variant import VARIANTS, variant

    @variant("definition")
    def one_alone(task: Task, context: Context) -> Task:
        changed = [
            replace(one, input=f"{one.input}!") if n == first else one for n, one in enumerate(task.instances)
        ]
        return replace(task, instances=tuple(changed))

    try:
        tasks = (make_task(count=LOOKED_AT + 5, prompted=True),)
        assert view(tasks).alters(InstructionConfig("one_alone"), ORIGINAL) is (first < LOOKED_AT)
    finally:
        del VARIANTS["definition"]["one_alone"]


def test_shares_between_the_ends_do_something() -> None:
    for config in (
        InstructionConfig("deleted", rate=0.1),
        InstructionConfig(examples="partly_correct", correct=0.0),
    ):
        assert view().effect(config, ORIGINAL) == Effect()
    one = InstructionConfig(num_positive=1)
    assert view().effect(InstructionConfig(examples="delusive", num_positive=1), one) == Effect()
    assert (
        view().effect(InstructionConfig("simplified", num_positive=0), replace(one, num_positive=0))
        == Effect()
    )


def test_no_tokenizer_makes_more_tokens_than_bytes_and_special_ones() -> None:
    assert Bytes().count("") == 8
    assert Bytes().count("é") == 10


def test_of_a_set_every_template_is_looked_at_at_test_and_the_training_one_in_training() -> None:
    both = view(template="plain+tk_instruct")
    assert len(both._templates()) == 2
    assert len(replace(both, side="training")._templates()) == 1
    assert both.effect(InstructionConfig("simplified"), ORIGINAL) == Effect()
    assert both.effect(InstructionConfig(examples="empty", num_positive=2), ORIGINAL).fault is None


def test_no_tokenizer_makes_more_tokens_of_a_text_than_it_has_bytes():
    assert (Bytes().count(""), Bytes().count("é"), Bytes().count("\ud83d")) == (8, 10, 11)
    assert Bytes().clip("a text", 1) == "a text"
