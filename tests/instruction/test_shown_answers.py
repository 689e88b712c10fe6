"""A variant that shows tested instances their right answers says so; one that cannot, does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import shown_to, vary
from instruct_ablate.instruction.shown_answers import shown_answers_note
from instruct_ablate.instruction.variant import VARIANTS
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Example, Instance, Task

INSTANCES = tuple(Instance(str(n), f"text {n}", (f"title {n}", f"heading {n}")) for n in range(6))
ALIKE = (Example("one", "A title."), Example("two", "a title"))  # nothing to draw from but the instances
INSTANCES_SHOWN = tuple(Example("three", one.references[0]) for one in INSTANCES)
SEVERAL = (Example("one", "this"), Example("two", "that"))


def task(examples: tuple[Example, ...] = ALIKE, name: str = "titles", **more: object) -> Task:
    return replace(Task(name, "Give a title.", INSTANCES, examples), **more)  # type: ignore[arg-type]


def note(variant: str, *tasks: Task, seed: int = 0) -> str | None:
    return shown_answers_note(tasks, InstructionConfig(examples=variant), Context(seed, tasks))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("variant", sorted(VARIANTS["examples"]))
def test_it_counts_the_prompts_that_show_their_own_answer(variant: str, seed: int) -> None:
    """By each prompt's own examples, whatever the variant."""
    one, config = task(), InstructionConfig(examples=variant)
    context = Context(seed, (one,))
    shown = shown_to(one, vary(one, config, context), config, context)
    number = sum(
        any(example.output in instance.references for example in shown(instance).positive_examples)
        for instance in INSTANCES
    )
    told = note(variant, one, seed=seed)
    assert bool(told) == bool(number)
    if told:
        assert f"examples={variant} shows {number} of 6 instances" in told
        assert f"({number} of titles)" in told


def test_outputs_drawn_from_instances_are_met_here() -> None:
    """Else nothing above is tested."""
    met = {
        variant for variant in VARIANTS["examples"] for seed in range(5) if note(variant, task(), seed=seed)
    }
    assert {"random_labels", "outputs_only", "ood_inputs", "permuted_labels", "delusive"} <= met
    assert not met & {"original", "empty", "inputs_only", "permuted", "random_english_words"}


@pytest.mark.parametrize("variant", ["random_labels", "delusive", "permuted_labels"])
def test_none_where_examples_have_outputs_enough_or_answers_are_labels(variant: str) -> None:
    labels = tuple(one.references[0] for one in INSTANCES)
    choices = tuple((one.id, labels) for one in INSTANCES)
    for other in (task(SEVERAL), task(label_space=labels), task(answer_choices=choices)):
        assert all(note(variant, other, seed=seed) is None for seed in range(5))


def test_what_the_examples_themselves_show_is_the_collection_s_own() -> None:
    """An example whose output is a test reference is there under the original instruction too."""
    own = (Example("one", "title 1"), Example("two", "title 2"))
    assert note("random_labels", task(own)) is None
    assert all(
        note("permuted_labels", task(negative_examples=INSTANCES_SHOWN), seed=s) is None for s in range(5)
    )


def test_the_worst_task_is_named() -> None:
    other = replace(
        task(name="more"), instances=tuple(replace(one, references=("same",)) for one in INSTANCES)
    )
    every = [told for seed in range(9) if (told := note("random_labels", task(), other, seed=seed))]
    assert all("of 12 instances" in told for told in every)
    assert any("(6 of more)" in told for told in every)
    assert any("of titles)" in told for told in every)
