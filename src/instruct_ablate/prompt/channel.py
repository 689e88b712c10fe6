"""Prompts turned round, the channel form of Min et al. (2022): the label stands before the input, in the examples too.

A label is then chosen by how likely the model holds the input behind it. Each template has its own words for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.build import each_task
from instruct_ablate.prompt.minimal import ANSWER, BETWEEN, QUESTION
from instruct_ablate.prompt.prompt import Channel, Prompt, Tokens
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import Pieces, shrink
from instruct_ablate.prompt.template import Rendered
from instruct_ablate.schema import InstructionConfig, PromptConfig
from instruct_ablate.tasks.task import Example, Instance, Task

PLACE = "[label]"  # stands in the source that is saved, where each label stood


@dataclass(frozen=True, slots=True)
class Form:
    """The words of a template: before a definition, an example ("{}" its number), label, input and what is asked."""

    definition: str = ""
    example: str = ""
    label: str = ""
    input: str = ""
    asked: str = ""
    between: str = "\n\n"

    def write(self, instruction: Instruction, instance: Instance) -> Pieces:
        """Write definition, examples and the label, which is the instance's input here."""
        shown = [
            self.example.format(number) + self._parts(one, instruction.shows)
            for number, one in enumerate(instruction.positive_examples, 1)
        ]
        told = f"{self.definition}{instruction.definition.strip()}" if instruction.definition.strip() else ""
        before = "".join(part + self.between for part in (told, *shown) if part)
        return before + self.asked + self.label, instance.input.strip(), f"\n{self.input}".rstrip(" ")

    def _parts(self, example: Example, shows: tuple[str, ...]) -> str:
        label = [f"{self.label}{example.output.strip()}"] if "output" in shows else []
        text = [f"{self.input}{example.input.strip()}"] if "input" in shows else []
        return "\n".join((*label, *text))


FORMS = {
    "minimal": Form(between=BETWEEN),
    "question_answer": Form(label=ANSWER, input=QUESTION, between=BETWEEN),
    "plain": Form(label="Output: ", input="Input: "),
    "tk_instruct": Form(
        "Definition: ",
        "Positive Example {} -\n",
        "Output: ",
        "Input: ",
        "Now complete the following example -\n",
    ),
}


def channel_prompts(
    tasks: Sequence[Task],
    instruction_config: InstructionConfig,
    prompt_config: PromptConfig,
    tokens: Tokens,
    context: Context,
) -> tuple[Prompt, ...]:
    """Return one prompt per instance; those of tasks without labels are as they are in the direct form."""
    form, room = FORMS[prompt_config.template], Room(tokens, prompt_config.max_source_length)
    return tuple(
        _turned(prompt, form, told, instance, room) if prompt.choices else prompt
        for task, told, direct in each_task(tasks, instruction_config, prompt_config, room, context)
        for prompt, instance in zip(direct, task.instances, strict=True)
    )


def _turned(
    prompt: Prompt, form: Form, told: Callable[[Instance], Instruction], instance: Instance, room: Room
) -> Prompt:
    shown = told(instance)

    def written(label: str, least: int = 0) -> Rendered:
        return shrink(form.write, shown, replace(instance, input=label), room, least)

    first = [written(label) for label in prompt.choices or ()]
    most = max(one.dropped_examples for one in first)
    # A label that leaves less room than others would stand behind fewer examples than they, and be ranked by that.
    every = [
        one if one.dropped_examples == most else written(label, most)
        for one, label in zip(first, prompt.choices or (), strict=True)
    ]
    place = written(PLACE, most)
    return replace(
        prompt,
        source=place.text,
        truncated=any(one.truncated for one in every),
        dropped_examples=most,
        channel=Channel(tuple(one.text for one in every), instance.input.strip()),
    )
