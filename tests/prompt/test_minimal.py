"""Min et al.'s templates: inputs and labels, and little else."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.schema import InstructionConfig, PromptConfig
from tests.conftest import make_task
from tests.prompt.words import WordTokens


def source(template: str, room: int = 1000, **changes: object) -> str:
    task, config = make_task(count=1), InstructionConfig(definition="empty")
    config = replace(config, **changes)  # type: ignore[arg-type]
    return build_prompts([task], config, PromptConfig(template, room), WordTokens(), Context(0))[0].source


def test_inputs_and_labels_alone() -> None:
    assert source("minimal") == (
        "A lovely evening.\npositive\n\n\nI want my money back.\nnegative\n\n\nThe film number 0 was great.\n"
    )
    assert source("minimal", num_positive=0) == "The film number 0 was great.\n"
    assert source("minimal", definition="original", num_positive=0).startswith("Read the review. Answer")


def test_parts_that_are_gone_have_no_line() -> None:
    assert source("minimal", examples="inputs_only").startswith("A lovely evening.\n\n\nI want")
    labels = source("minimal", examples="outputs_only").split("\n\n\n")
    assert set(labels[:2]) <= {"positive", "negative"}


def test_a_question_and_its_answer() -> None:
    assert source("question_answer", num_positive=1) == (
        "The question is: A lovely evening.\nThe answer is: positive\n\n\n"
        "The question is: The film number 0 was great.\nThe answer is:"
    )
    assert "Wrong example:" in source("question_answer", num_negative=1)


def test_examples_go_where_there_is_no_room() -> None:
    assert source("minimal", 12).count("\n\n\n") == 1
