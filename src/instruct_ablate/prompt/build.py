"""Build prompts: every instance of every task under one instruction variant and one template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from instruct_ablate.instruction.context import Context, hashed
from instruct_ablate.instruction.instruction import Instruction, shown_to, vary
from instruct_ablate.limits import exactly
from instruct_ablate.prompt import alpaca, chat, minimal, plain, tk_instruct  # noqa: F401 - they register themselves
from instruct_ablate.prompt.prompt import Prompt, Tokens
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import Template, rendered
from instruct_ablate.prompt.template_set import training_template
from instruct_ablate.schema import InstructionConfig, PromptConfig
from instruct_ablate.tasks.languages import rule_of
from instruct_ablate.tasks.task import Instance, Task

Name = tuple[str, str]  # task, instance id


def build_prompts(
    tasks: Sequence[Task],
    instruction_config: InstructionConfig,
    prompt_config: PromptConfig,
    tokens: Tokens,
    context: Context,
) -> tuple[Prompt, ...]:
    """Return one prompt per instance, in order; a task that brings its own prompts keeps them as text.

    Of a set of templates the training one is taken: tests give their templates one by one.
    """
    each = each_task(
        tasks, instruction_config, prompt_config, Room(tokens, prompt_config.max_source_length), context
    )
    return tuple(prompt for _, _, prompts in each for prompt in prompts)


def each_task(
    tasks: Sequence[Task],
    instruction_config: InstructionConfig,
    prompt_config: PromptConfig,
    room: Room,
    context: Context,
) -> Iterator[tuple[Task, Callable[[Instance], Instruction], Iterator[Prompt]]]:
    """Yield every task under the variant, what stands before each of its instances, and one prompt an instance."""
    chosen = training_template(prompt_config, context.seed)
    for task in tasks:
        varied = vary(task, instruction_config, context)
        told = shown_to(task, varied, instruction_config, context)
        template = _own_prompts if task.prompted else chosen
        yield varied, told, _of_task(varied, told, template, room, context.seed)


def own_prompt(instruction: Instruction, instance: Instance, room: Room) -> str:
    """Take the collection's own prompt (P3) as it is: neither definition nor examples are added."""
    return instance.input


def _own_prompts(task: str, instance: str) -> Template:
    return own_prompt


def _of_task(
    task: Task,
    told: Callable[[Instance], Instruction],
    template: Callable[[str, str], Template],
    room: Room,
    seed: int,
) -> Iterator[Prompt]:
    choices, rule = dict(task.answer_choices), rule_of(task)
    for instance in task.instances:
        made = rendered(template(task.name, instance.id), told(instance), instance, room)
        yield Prompt(
            task=task.name,
            category=task.category,
            kind=task.kind,
            instance_id=instance.id,
            source=made.text,
            references=instance.references,
            target=_target(task, instance, seed),
            choices=choices.get(instance.id, task.label_space),
            truncated=made.truncated,
            dropped_examples=made.dropped_examples,
            word_rule=rule,
        )


def _target(task: Task, instance: Instance, seed: int) -> str:
    """Draw the supervised output from the references (as Tk-Instruct) by seed, task and instance alone."""
    number = len(instance.references)
    return instance.references[drawn_reference(seed, task.name, instance.id, number)]


def drawn_reference(seed: int, task: str, instance: str, number: int, epoch: int = 0) -> int:
    """Return the place of the reference that an epoch trains on; the first epoch's is the usual one."""
    later = (epoch,) if epoch else ()
    return hashed(seed, "target", task, instance, *later) % number if number > 1 else 0


def alternated(built: Sequence[Sequence[Prompt]]) -> tuple[Prompt, ...]:
    """Return one prompt an instance of the same prompts under several instructions, with the sources of all."""
    if len(built) == 1:
        return tuple(built[0])
    return tuple(
        replace(
            same[0],
            alternatives=tuple(prompt.source for prompt in same),
            truncated=any(prompt.truncated for prompt in same),
            dropped_examples=max(prompt.dropped_examples for prompt in same),
        )
        for same in zip(*built, strict=True)
    )


def partly_altered(
    build: Callable[[InstructionConfig], tuple[Prompt, ...]],
    altered: InstructionConfig,
    others: InstructionConfig,
    share: float,
    seed: int,
) -> tuple[Prompt, ...]:
    """Build prompts under two instructions, a share of the instances (one at least) altered.

    Which those are depends on the seed and their names; those of a smaller share are among a larger one's.
    """
    shown = build(altered)
    if share == 1:
        return shown
    names = [(prompt.task, prompt.instance_id) for prompt in shown]
    chosen = altered_instances(shown, share, seed)
    rest = build(others)
    if names != [(prompt.task, prompt.instance_id) for prompt in rest]:
        raise RuntimeError("prompts under two instructions are not of the same instances")
    return tuple(
        one if name in chosen else other for name, one, other in zip(names, shown, rest, strict=True)
    )


def altered_instances(prompts: Sequence[Prompt], share: float, seed: int) -> frozenset[Name]:
    """Return task and id of the instances that are altered where a share of them is."""
    return _altered(frozenset((prompt.task, prompt.instance_id) for prompt in prompts), share, seed)


@lru_cache(maxsize=1)  # asked once for each encoding of the same examples, and once for a note on them
def _altered(names: frozenset[Name], share: float, seed: int) -> frozenset[Name]:
    order = sorted(names, key=lambda name: (hashed(seed, "altered", *name), name))
    return frozenset(order[: max(1, round(share * len(order)))])


def altered_note(prompts: Sequence[Prompt], share: float, seed: int) -> str | None:
    """Say how many prompts are altered, where not all are: of few examples it is the share but for rounding."""
    if share == 1:
        return None
    chosen = altered_instances(prompts, share, seed)
    count = sum((prompt.task, prompt.instance_id) in chosen for prompt in prompts)
    return f"{count} of {len(prompts)} examples are shown under the variant (data.altered_share={exactly(share)})."
