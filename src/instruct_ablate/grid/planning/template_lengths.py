"""How long prompts are under each template of a set, before anything runs: the longest must fit the limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from instruct_ablate.cell.state.canonical import (
    effective,
    is_baseline,
    is_untuned,
    shown_at_test,
    under_templates,
)
from instruct_ablate.grid.token_counts import counted_by, token_counts
from instruct_ablate.instruction.context import Context
from instruct_ablate.prompt.build import build_prompts
from instruct_ablate.prompt.sample import NO_LIMIT
from instruct_ablate.prompt.template_set import DRAWN, template_label, trained_under
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.task import Task

LOOKED_AT = 2  # test instances of each task


def template_lines(configs: Iterable[Config]) -> Iterator[str]:
    """Say once for all cells that are shown alike: how many templates, and which one makes the longest prompts."""
    cells = [one for one in map(effective, configs) if not is_baseline(one)]
    asked = {
        f"{one.tasks}{one.prompt}{counted_by(one)}": one
        for one in sorted(cells, key=is_untuned, reverse=True)
    }
    several = len({counted_by(one) for one in cells}) > 1
    for config in asked.values():
        each = under_templates(config)
        if len(each) > 1:
            yield _line(config, dict(each)) + (f" ({config.model.name})" if several else "")


def _line(config: Config, each: dict[str, Config]) -> str:
    read = read_tasks(config.tasks, Path(config.cache))
    tasks = [replace(task, instances=task.instances[:LOOKED_AT]) for task in read.test]
    context = Context.of(config, read, "test")
    instructions = [shown for _, shown in shown_at_test(config)]
    longest = {name: _longest(tasks, one, instructions, context) for name, one in each.items()}
    name, limit = max(longest, key=longest.__getitem__), config.prompt.max_source_length
    return (
        f"templates: {len(each)}, each a test of its own{_trained(config)}; the longest prompts are those of {name}: "
        f"about {longest[name]:,} tokens, prompt.max_source_length={limit:,}"
    )


def _trained(config: Config) -> str:
    if is_untuned(config):
        return ""
    if config.prompt.training_template == DRAWN:
        return ", training examples under one each, drawn"
    return f", trained under {template_label(trained_under(config.prompt)[0].template)}"


def _longest(
    tasks: list[Task], config: Config, instructions: list[InstructionConfig], context: Context
) -> int:
    (tokens, _), prompt = token_counts(config), replace(config.prompt, max_source_length=NO_LIMIT)
    built = [build_prompts(tasks, shown, prompt, tokens, context) for shown in instructions]
    return max((tokens.count(one.source) for prompts in built for one in prompts), default=0)
