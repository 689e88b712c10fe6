"""A sample prompt: one test instance as it is shown under each of several templates, for people to look at."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.effect import Bytes
from instruct_ablate.prompt.prompt import Tokens
from instruct_ablate.prompt.template_set import template_label, under_each
from instruct_ablate.schema import Config
from instruct_ablate.tasks.task import TaskCollection

NO_LIMIT = 10**9  # tokens of a prompt that no model cuts


def render_each(
    config: Config, collection: TaskCollection, tokens: Tokens | None = None
) -> tuple[tuple[str, str], ...]:
    """Return names and prompts of the first test instance, uncut; nothing where there is but one template.

    With the `tokens` of the model there is a chat format too, whose prompt is shown though it be alone.
    """
    each, tasks = under_each(config.prompt), [task for task in collection.test if task.instances]
    if (len(each) == 1 and tokens is None) or not tasks:
        return ()
    one = replace(tasks[0], instances=tasks[0].instances[:1])
    context = Context.of(config, collection, "test")
    shown = [
        build_prompts(
            [one], config.instruction, replace(prompt, max_source_length=NO_LIMIT), tokens or Bytes(), context
        )
        for prompt in each
    ]
    return tuple((template_label(p.template), made[0].source) for p, made in zip(each, shown, strict=True))
