"""The channel form: the label before the input, in examples and in what is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.instruction.context import Context
from instruct_ablate.prompt.channel import FORMS, PLACE, channel_prompts
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import InstructionConfig, PromptConfig
from instruct_ablate.tasks.task import Task
from tests.conftest import make_task
from tests.prompt.words import WordTokens


def turned(template: str, task: Task | None = None, room: int = 1000, **changes: object) -> Prompt:
    config = replace(InstructionConfig(definition="empty"), **changes)  # type: ignore[arg-type]
    prompt, tasks = PromptConfig(template, room), (task or make_task(count=1),)
    return channel_prompts(tasks, config, prompt, WordTokens(), Context(0, tasks))[0]


def test_each_label_stands_before_the_input() -> None:
    prompt = turned("minimal")
    assert prompt.channel is not None
    before = "positive\nA lovely evening.\n\n\nnegative\nI want my money back.\n\n\n"
    assert prompt.channel.sources == (f"{before}positive\n", f"{before}negative\n")
    assert prompt.channel.text == "The film number 0 was great."
    assert prompt.source == f"{before}{PLACE}\n"
    assert (prompt.choices, prompt.references) == (("positive", "negative"), ("positive",))


@pytest.mark.parametrize(
    ("template", "end"),
    [
        ("minimal", "\n\n\npositive\n"),
        (
            "question_answer",
            "\nThe question is: I want my money back.\n\n\nThe answer is: positive\nThe question is:",
        ),
        ("plain", "Output: negative\nInput: I want my money back.\n\nOutput: positive\nInput:"),
        ("tk_instruct", "Now complete the following example -\nOutput: positive\nInput:"),
    ],
)
def test_each_template_keeps_its_words(template: str, end: str) -> None:
    channel = turned(template, definition="original").channel
    assert channel is not None
    assert channel.sources[0].endswith(end)
    assert "Read the review." in channel.sources[0]
    assert "film number" not in channel.sources[0], "the input is what is scored"
    assert template in FORMS


def test_parts_that_are_gone_have_no_line() -> None:
    assert turned("minimal", examples="inputs_only").source.startswith("A lovely evening.\n\n\nI want")
    assert "lovely" not in turned("minimal", examples="outputs_only").source


def test_tasks_without_labels_are_asked_directly() -> None:
    prompt = turned("minimal", make_task(count=1, label_space=None))
    assert prompt.channel is None
    assert prompt.source.endswith("The film number 0 was great.\n")


def test_inputs_drawn_for_each_instance_are() -> None:
    tasks = (make_task(count=9),)
    config = InstructionConfig(definition="empty", examples="ood_inputs")
    made = channel_prompts(tasks, config, PromptConfig("minimal", 1000), WordTokens(), Context(0, tasks))
    assert len({prompt.source for prompt in made}) > 4


def test_what_the_longest_label_leaves_no_room_for_is_told() -> None:
    task = make_task(count=1, label_space=("positive", "negative, and very much so indeed"))
    short, long = (turned("minimal", one, room=12) for one in (make_task(count=1), task))
    assert (short.dropped_examples, long.dropped_examples, long.truncated) == (0, 1, False)
    assert turned("minimal", task, room=4).truncated
    assert not turned("minimal", room=4).truncated


def test_choices_of_each_instance_take_turns_in_their_own_order() -> None:
    task = make_task(count=2, label_space=None)
    choices = (("no", "yes", "maybe"), ("b", "a"))
    named = zip(task.instances, choices, strict=True)
    task = replace(task, answer_choices=tuple((one.id, own) for one, own in named), positive_examples=())
    config, tasks = InstructionConfig(definition="empty"), (task,)
    made = channel_prompts(tasks, config, PromptConfig("minimal", 1000), WordTokens(), Context(0, tasks))
    assert [one.channel and one.channel.sources for one in made] == [
        tuple(f"{label}\n" for label in own) for own in choices
    ]


def test_examples_go_where_there_is_no_room() -> None:
    prompt = turned("minimal", room=8)
    assert prompt.dropped_examples == 1
    assert not prompt.truncated


def _shown(source: str) -> tuple[bool, bool]:
    return "lovely" in source, "money back" in source


def test_every_label_of_an_instance_stands_behind_the_same_examples() -> None:
    labels = ("positive", "negative, and very much so indeed", "in part, as it were")
    task = make_task(count=2, label_space=labels)
    every: dict[int, Prompt] = {}
    for room in range(30, 3, -1):
        prompt = turned("minimal", task, room=room)
        assert prompt.channel is not None
        shown = {_shown(source) for source in prompt.channel.sources}
        assert len(shown) == 1, f"in {room} words labels stand behind other examples"
        assert _shown(prompt.source) in shown
        every.setdefault(prompt.dropped_examples, prompt)
    assert sorted(every) == [0, 1, 2]
    assert not every[2].truncated
