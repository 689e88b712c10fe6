"""A broken promise is noticed: each built-in check against a variant that cheats."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.instruction.audit.promise import PROMISES, broken
from instruct_ablate.instruction.catalogue import find, names
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.sentences import SENTENCES
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
        ("misspelled", TASK.definition, "another number of words"),
        ("misspelled", " ".join(["film"] * 12), "made 'film' of"),
        ("no_stop_words", "Read the review.", "keeps the stop words the"),
        ("no_stop_words", "film", "no part"),
        ("no_label_list", "film", "no part"),
        ("irrelevant", "Judge it.", "none of the irrelevant"),
        ("misleading", TASK.definition, "own definition"),
        ("misleading_extreme", "From nowhere.", "no other task's"),
        ("task_name", "film", "not the task's name"),
        ("sentence_irrelevant", "Judge the film. Label: positive. Label: negative.", "none of the sentences"),
        (
            "sentence_misleading_extreme",
            SENTENCES["sentence_misleading_extreme"][0] + " Label: x.",
            "none of the",
        ),
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
        ("delusive", TASK.positive_examples, "not the task's own negative examples"),
        ("delusive_mended", TASK.positive_examples, "is right"),
        ("delusive_mended", (Example("q", "bad"), Example("r", "positive")), "outside the output space"),
        ("delusive_mended", (Example("q", "positive"),), "1 wrong example for 2"),
        ("delusive_mended", (Example(" ", "positive"), Example("r", "positive")), "blank"),
        ("random_labels", (Example("q", "positive"),), "inputs differ"),
        ("partly_correct", TASK.positive_examples, "2 of 2 examples are right"),
        ("outputs_only", TASK.positive_examples, "both parts"),
        ("inputs_only", (Example("q", ""),), "number of examples"),
        ("ood_inputs", TASK.positive_examples, "the task's own"),
        ("ood_inputs", (), "number of examples"),
        ("ood_inputs", (Example("q", "bad"),), "outside the output space"),
        ("permuted", (), "examples differ"),
    ],
)
def test_a_broken_example_is_noticed(name: str, examples: tuple[Example, ...], message: str) -> None:
    faults = broken(find("examples", name), TASK, replace(TASK, positive_examples=examples), CONTEXT)
    assert any(message in fault for fault in faults), faults


def test_a_second_field_is_noticed() -> None:
    after = replace(TASK, definition="", instances=())
    assert "changes instances" in broken(find("definition", "empty"), TASK, after, CONTEXT)


RIGHT, WRONG = Example("Lovely.", "positive"), Example("Lovely.", "negative")


def faults(slot: Slot, name: str, context: Context = CONTEXT, before: Any = TASK, **after: Any) -> list[str]:
    return broken(find(slot, name), before, replace(before, **after), context)


@pytest.mark.parametrize(
    ("rate", "words", "held"),
    [(0.0, 12, True), (0.0, 11, False), (0.01, 11, True), (1.0, 0, True), (1.0, 1, False)],
)
def test_as_many_words_go_as_the_rate_says_and_one_at_least(rate: float, words: int, held: bool) -> None:
    assert len(TASK.definition.split()) == 12
    shorter = " ".join(TASK.definition.split()[:words])
    assert (faults("definition", "deleted", Context(0, rate=rate), definition=shorter) == []) is held


@pytest.mark.parametrize(("changed", "held"), [(1, False), (2, True), (3, False)])
def test_a_fifth_of_the_words_is_replaced(changed: int, held: bool) -> None:
    words = ["film"] * changed + TASK.definition.split()[changed:]
    assert (faults("definition", "replaced", definition=" ".join(words)) == []) is held
    longer = " ".join([*["film"] * 2, *TASK.definition.split()[2:], "film"])
    assert faults("definition", "replaced", definition=longer) == ["has 13 words, expected 12"]


def test_what_the_only_label_text_may_say() -> None:
    open_task = replace(TASK, label_space=None)
    assert faults("definition", "simplified", before=open_task, definition="") == []
    assert faults("definition", "simplified", before=open_task, definition="Label") != []
    both = "Label: positive. Label: negative."
    assert faults("definition", "simplified", definition=both) == []


def test_words_that_are_all_alike_cannot_be_put_in_another_order() -> None:
    alike = replace(TASK, definition="Go go! Go go!".lower().replace("!", ""))
    assert faults("definition", "shuffled", before=alike, definition=alike.definition) == []


@pytest.mark.parametrize(("examples", "held"), [(0, False), (1, True), (2, True), (3, False)])
def test_as_many_wrong_examples_as_a_prompt_shows_are_enough(examples: int, held: bool) -> None:
    one = Context(0, num_positive=1)
    made = tuple(Example(f"An odd line {number}.", "negative") for number in range(examples))
    told = faults("examples", "delusive", one, positive_examples=made)
    assert (not any("wrong examples for 2 right ones" in fault for fault in told)) is held


def test_an_example_without_an_output_is_blank_too() -> None:
    made = (Example("q", " "), Example("r", "negative"))
    assert "an example is blank" in faults("examples", "delusive_mended", positive_examples=made)


def test_the_share_of_right_examples_is_of_those_shown() -> None:
    first, second = TASK.positive_examples
    half = (first, replace(second, output="positive"))
    assert faults("examples", "partly_correct", positive_examples=half) == []
    assert faults("examples", "partly_correct", Context(0, correct=1.0), positive_examples=half) != []
    none = Context(0, correct=0.0)
    outside = tuple(replace(one, output="film") for one in TASK.positive_examples)
    assert (
        faults("examples", "partly_correct", none, positive_examples=outside)
        == ["the output 'film' is outside the output space"] * 2
    )
    assert faults("examples", "partly_correct", positive_examples=(first, outside[1])) == []


def test_inputs_that_are_strange_are_none_of_the_tasks() -> None:
    strange = tuple(replace(one, input=f"Strange {one.input}") for one in TASK.positive_examples)
    assert faults("examples", "ood_inputs", positive_examples=strange) == []
    own = (replace(strange[0], input=TASK.instances[0].input), strange[1])
    assert faults("examples", "ood_inputs", positive_examples=own) == ["an input is the task's own"]
    assert faults("examples", "permuted", positive_examples=TASK.positive_examples[::-1]) == []
    assert (
        faults("examples", "outputs_only", positive_examples=tuple(replace(e, input="") for e in strange))
        == []
    )


def test_of_a_task_with_prompts_of_its_own_the_instances_change_and_nothing_else_is_promised() -> None:
    prompted = replace(TASK, prompted=True)
    assert faults("definition", "empty", before=prompted, instances=()) == []
    assert faults("definition", "empty", before=prompted, definition="Other.") == ["changes definition"]
    assert faults("definition", "empty", instances=(), definition="") == ["changes instances"]


def test_the_name_of_the_task_may_have_spaces() -> None:
    assert faults("definition", "task_name", definition="sentiment") == []
    assert faults("definition", "task_name", definition="") == ["is not the task's name"]
    assert faults("definition", "misleading", definition=FAR.definition) == []


def test_two_words_can_be_put_in_another_order() -> None:
    two = replace(TASK, definition="Go on")
    assert faults("definition", "shuffled", before=two, definition="Go on") == [
        "the order of words is unchanged"
    ]
    assert faults("definition", "shuffled", before=two, definition="on Go") == []
