"""How long answers may get under `evaluation.answer_slack`: by what their task's longest output takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from instruct_ablate.constraints import constraints_of
from instruct_ablate.data.encoding import Encoding
from instruct_ablate.prompt.prompt import Prompt
from instruct_ablate.schema import Config
from instruct_ablate.tasks.task import Task


def task_outputs(task: Task) -> tuple[str, ...]:
    """Return what a task's instances are answered by, each once: their references, and the labels it allows.

    None are returned where constraints stand in place of references of any instance: no text is the longest there.
    """
    if any(constraints_of(instance.references) for instance in task.instances):
        return ()
    references = (text for instance in task.instances for text in instance.references)
    labels = (text for _, choices in task.answer_choices for text in choices)
    return tuple(dict.fromkeys((*references, *(task.label_space or ()), *labels)))


def with_task_outputs(
    prompts: Sequence[Prompt], tasks: Sequence[Task], slack: int | None
) -> tuple[Prompt, ...]:
    """Tell prompts the outputs of their whole task where answers are bounded by them, be they of a few instances."""
    if slack is None:
        return tuple(prompts)
    known = {task.name: task_outputs(task) for task in tasks}
    return tuple(replace(prompt, task_outputs=known[prompt.task]) for prompt in prompts)


def answer_limits(prompts: Sequence[Prompt], encoding: Encoding, config: Config) -> Mapping[str, int]:
    """Return how many tokens an answer may have, its end included, by task.

    That is `prompt.max_target_length`; under `evaluation.answer_slack` what the task's longest output has as a training
    target, and so many more. It depends on neither the prompts' order nor which of a task's are given.
    """
    most, slack = config.prompt.max_target_length, config.evaluation.answer_slack
    if slack is None:
        return dict.fromkeys((prompt.task for prompt in prompts), most)
    outputs: dict[str, tuple[str, ...]] = {}
    for prompt in prompts:
        if prompt.task_outputs is None:
            raise RuntimeError(
                f"{prompt.task}: evaluation.answer_slack bounds answers by a task's outputs, which its prompts lack"
            )
        outputs[prompt.task] = prompt.task_outputs
    texts = list(dict.fromkeys(text for every in outputs.values() for text in every))
    tokens = dict(zip(texts, map(len, encoding.targets(texts, most)[0]), strict=True))
    return {
        task: min(most, max(tokens[text] for text in every) + slack) if every else most
        for task, every in outputs.items()
    }


def bound_note(prompts: Sequence[Prompt], encoding: Encoding, config: Config) -> str | None:
    """Say after how many tokens answers were ended; None where `evaluation.answer_slack` is not asked for."""
    slack = config.evaluation.answer_slack
    if slack is None or not prompts:
        return None
    limits = answer_limits(prompts, encoding, config).values()
    least, most = min(limits), max(limits)
    after = f"{least}" if least == most else f"{least} to {most}"
    return (
        f"evaluation.answer_slack={slack} ends written answers after {after} tokens, by the longest reference or label "
        "of each task: what a model would go on to write counts neither for nor against it"
    )
