"""Right answers of tested instances that their own prompts show, for a variant drew them from the task's instances.

Variants that need other outputs of a task than its examples have take those of its instances. Where outputs are free
each of them is the right answer to a tested instance or a few, whose prompts then show it.
"""

from __future__ import annotations

from collections.abc import Sequence

from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import Instruction, shown_to, vary
from instruct_ablate.normalisation import label_form
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Task


def shown_answers_note(tasks: Sequence[Task], config: InstructionConfig, context: Context) -> str | None:
    """Say how many tested instances are shown a right answer that the task's own examples do not have.

    Of tasks whose outputs are free: a label is an answer to many. None where there is no such instance.
    """
    if find("examples", config.examples).name == "original":
        return None
    free = [task for task in tasks if not task.label_space and not task.answer_choices]
    found = {task.name: number for task in free if (number := _shown(task, config, context))}
    if not found:
        return None
    name, number = max(found.items(), key=lambda one: one[1])
    every = sum(len(task.instances) for task in free)
    return (
        f"examples={config.examples} shows {sum(found.values())} of {every} instances whose answers are free an answer "
        f"that is right for them and that no example of their task has: drawn from those tested ({number} of {name})"
    )


def _shown(task: Task, config: InstructionConfig, context: Context) -> int:
    examples = (*task.positive_examples, *task.negative_examples)
    own = frozenset(label_form(example.output) for example in examples)
    each = find("examples", config.examples).each is not None
    shown = shown_to(task, vary(task, config, context), config, context)
    strange = frozenset[str]()
    number = 0
    for place, instance in enumerate(task.instances):
        if each or not place:
            strange = _outputs(shown(instance)) - own
        number += bool(strange) and not strange.isdisjoint(map(label_form, instance.references))
    return number


def _outputs(shown: Instruction) -> frozenset[str]:
    return frozenset(label_form(one.output) for one in shown.positive_examples if one.output.strip())
