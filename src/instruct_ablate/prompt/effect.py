"""Whether a variant alters any prompt: an ablation that changes nothing would be read as one that does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import as_instruction, vary
from instruct_ablate.instruction.label import label
from instruct_ablate.plural import counted
from instruct_ablate.prompt.build import own_prompt
from instruct_ablate.prompt.prompt import Tokens
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import Template, rendered
from instruct_ablate.prompt.template_set import single_template, trained_under, under_each
from instruct_ablate.schema import InstructionConfig, PromptConfig
from instruct_ablate.tasks.task import Task

LOOKED_AT = 20  # instances of a task whose instruction is altered, but not the prompts so far
NAMED = 5  # tasks that a message names


class Bytes:
    """`Tokens` for what certainly fits: no tokenizer makes more tokens of a text than it has bytes."""

    def count(self, text: str) -> int:
        """Return the most tokens that a text can have, some special ones included."""
        return len(text.encode(errors="surrogatepass")) + 8

    def clip(self, text: str, limit: int) -> str:
        """Return the text as it is: what is cut is not looked at."""
        return text

    def chat(self, text: str) -> str:
        """Return the text as it is: what a chat format adds is the same for all."""
        return text


@dataclass(frozen=True)
class Effect:
    """What was found of one variant on one side: a fault that stops it, or notes."""

    fault: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """The tasks of one side as prompts show them; `exact` loads the model's tokenizer, where it is needed."""

    tasks: Sequence[Task]
    context: Context
    prompt: PromptConfig
    exact: Callable[[], Tokens]
    side: str  # "training" or "test"

    def effect(self, instruction: InstructionConfig, reference: InstructionConfig) -> Effect:
        """Compare the prompts under an instruction with those under the reference."""
        name, tasks = label(instruction), f"{self.side} tasks"
        parts = _parts(instruction, reference)
        idle = [_idle(instruction, slot) for slot, _ in parts]
        working = [part for (_, part), why in zip(parts, idle, strict=True) if not why]
        notes = [
            f"instruction={name}: {why}, so "
            + (
                f"{label(part)} alone alters no prompt of {tasks}"
                if working
                else f"{tasks} are shown as before"
            )
            for (_, part), why in zip(parts, idle, strict=True)
            if why and not (working and part.examples == "empty")  # none are shown, as asked for twice
        ]
        there = any(task.instances for task in self.tasks)  # else nothing is shown, whatever the instruction
        if working and there and not self.alters(instruction, reference):
            return Effect(f"instruction={name}: {self._no_prompt(instruction)}")
        if len(parts) > 1 and there:
            silent = [part for part in working if not self.alters(part, reference)]
            notes += [
                f"instruction={name}: {label(part)} alone alters no prompt of {tasks}" for part in silent
            ]
        return Effect(None, tuple(notes))

    def alters(self, instruction: InstructionConfig, reference: InstructionConfig) -> bool:
        """Tell whether a prompt differs: among those that certainly fit, else as the tokenizer cuts them."""
        unknown = False
        for differs in self._pairs(instruction, reference, Bytes(), whole=True):
            if differs:
                return True
            unknown = unknown or differs is None
        return unknown and any(self._pairs(instruction, reference, self.exact(), whole=False))

    def _pairs(
        self, instruction: InstructionConfig, reference: InstructionConfig, tokens: Tokens, whole: bool
    ) -> Iterator[bool | None]:
        """Yield for one prompt after another whether it differs, leaving out tasks that cannot.

        With `whole`, of a prompt that may be cut it is not known (None).
        """
        room, functions = Room(tokens, self.prompt.max_source_length), self._templates()
        for task in self.tasks:
            both = [vary(task, config, self.context) for config in (instruction, reference)]
            told = [as_instruction(*pair) for pair in zip(both, (instruction, reference), strict=True)]
            same = both[0].instances is both[1].instances
            if same and (task.prompted or told[0] == told[1]):
                continue
            pairs = islice(zip(both[0].instances, both[1].instances, strict=True), LOOKED_AT)
            for instances, template in product(pairs, [own_prompt] if task.prompted else functions):
                made = [rendered(template, *pair, room) for pair in zip(told, instances, strict=True)]
                cut = any(one.truncated or one.dropped_examples for one in made)
                yield None if whole and cut else made[0].text != made[1].text

    def _templates(self) -> list[Template]:
        """Return the templates that prompts of this side are shown under."""
        shown = trained_under(self.prompt) if self.side == "training" else under_each(self.prompt)
        return [single_template(one) for one in shown]

    def _no_prompt(self, instruction: InstructionConfig) -> str:
        """Say that no prompt is altered, and why where that is plain."""
        names = [task.name for task in self.tasks]
        named = ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])
        bare = not any(task.positive_examples or task.prompted for task in self.tasks)
        why = " The tasks have no examples." if bare and instruction.examples != "original" else ""
        return (
            f"no prompt of the {counted(len(names), f'{self.side} task')} ({named}) differs from the "
            f"reference's.{why} Its cells "
            "would be the reference's under another name: leave the variant out, or choose other tasks."
        )


def _parts(
    instruction: InstructionConfig, reference: InstructionConfig
) -> list[tuple[str, InstructionConfig]]:
    """Return each part of an instruction that is not the reference's, by itself."""
    slots = ("definition", "examples")
    altered = [slot for slot in slots if getattr(instruction, slot) != getattr(reference, slot)]
    same = {slot: getattr(reference, slot) for slot in slots}
    return [(slot, replace(instruction, **{**same, slot: getattr(instruction, slot)})) for slot in altered]


def _idle(config: InstructionConfig, slot: str) -> str | None:
    """Say by which setting a part does nothing, as asked for; None where it should do something."""
    if slot == "definition":
        return (
            "rate=0"
            if find("definition", config.definition).parameter == "rate" and not config.rate
            else None
        )
    if config.num_positive == 0:
        return "num_positive=0"
    if find("examples", config.examples).parameter == "correct" and config.correct == 1:
        return "correct=1"
    return "num_positive=1" if config.examples == "permuted" and config.num_positive == 1 else None
