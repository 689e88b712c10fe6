"""From a task to its instruction."""

from __future__ import annotations

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import Instruction, check_instruction, instruct, vary
from instruct_ablate.schema import InstructionConfig
from tests.conftest import make_task


def test_original_takes_the_first_examples_without_explanations() -> None:
    task = make_task()
    made = instruct(task, InstructionConfig(num_positive=1, num_negative=1), Context(0))
    assert (made.task, made.definition) == (task.name, task.definition)
    assert [(e.input, e.output, e.explanation) for e in made.positive_examples] == [
        ("A lovely evening.", "positive", "")
    ]
    assert len(made.negative_examples) == 1


def test_explanations_on_request() -> None:
    made = instruct(make_task(), InstructionConfig(explanations=True), Context(0))
    assert made.positive_examples[1].explanation == "A complaint."


def test_definition_and_examples_vary_together() -> None:
    made = instruct(make_task(), InstructionConfig(definition="simplified", examples="delusive"), Context(0))
    assert made.definition == "Label: positive. Label: negative."
    assert [e.output for e in made.positive_examples] == ["negative", "positive"]


def test_parameters_reach_the_variant() -> None:
    context = Context(0, rate=0.9)
    words = make_task().definition.split()
    assert (
        instruct(make_task(), InstructionConfig(definition="deleted", rate=0.0), context).definition.split()
        == words
    )
    assert vary(make_task(), InstructionConfig(definition="deleted", rate=1.0), context).definition == ""


def test_shown_parts_are_told() -> None:
    assert instruct(make_task(), InstructionConfig(examples="outputs_only"), Context(0)).shows == ("output",)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (InstructionConfig(definition="simple"), "did you mean 'simplified'"),
        (InstructionConfig(examples="delusion"), "did you mean 'delusive'"),
        (InstructionConfig(rate=1.5), r"instruction.rate=1.5: give a share between 0 and 1"),
        (InstructionConfig(correct=-0.1), "instruction.correct"),
        (InstructionConfig(num_positive=-1), "instruction.num_positive=-1: give 0 or more"),
        (InstructionConfig(num_negative=-2), "instruction.num_negative"),
    ],
)
def test_faulty_configurations_are_told(config: InstructionConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_instruction(config)


def test_an_instruction_shows_both_parts_of_an_example_unless_told_otherwise() -> None:
    assert Instruction("t", "d", (), ()).shows == ("input", "output")


def test_counts_of_examples_and_their_signs() -> None:
    made = instruct(make_task(), InstructionConfig(num_positive=1, num_negative=2), Context(0))
    assert (len(made.positive_examples), len(made.negative_examples)) == (1, 2)
    none = instruct(make_task(), InstructionConfig(num_positive=0), Context(0))
    assert (none.positive_examples, none.negative_examples) == ((), ())
    assert all(not one.explanation for one in (*made.positive_examples, *made.negative_examples))
