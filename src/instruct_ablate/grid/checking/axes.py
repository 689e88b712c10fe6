"""Axes of a grid that change no prompt: the same cells under several names would say that they do not matter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from instruct_ablate.cell.state.canonical import (
    READS_INSTRUCTION,
    drawn_at_test,
    effective,
    is_baseline,
    is_untuned,
)
from instruct_ablate.grid.checking.effects import equal_prompts
from instruct_ablate.instruction.label import canonical, label, originals
from instruct_ablate.schema import Config, InstructionConfig
from instruct_ablate.tasks import collection

log = logging.getLogger(__name__)
# What an instruction is to show, as axes of a grid.
SHOWN = {
    "num_positive": "examples",
    "num_negative": "negative examples",
    "explanations": "explanations",
}
_NOTHING = InstructionConfig()


def check_templates(configs: Sequence[Config]) -> list[str]:
    """Refuse templates that a grid compares where all tasks bring prompts of their own: no prompt would differ."""
    found: dict[tuple[str, tuple[str, ...]], None] = {}
    several = len({config.prompt.template for config in configs}) > 1
    for cells in _but_for_template(configs).values() if several else ():
        templates = tuple(dict.fromkeys(cell.prompt.template for cell in cells))
        if len(templates) > 1 and _all_prompted(cells[0]):
            found[cells[0].tasks.reader, templates] = None
    return [
        f"prompt.template={','.join(templates)}: the tasks of {reader} bring their own prompts, which no template "
        "changes, so that these cells would be one another's under other names: choose one template."
        for reader, templates in found
    ]


def _but_for_template(configs: Sequence[Config]) -> dict[str, list[Config]]:
    """Group cells that differ in their template alone, of those that show it in no other way than in prompts.

    General ability is asked under it, channel prompts are in its words, and a turn's end is that of the chat format.
    """
    found: dict[str, list[Config]] = {}
    for config in configs:
        shown = config.evaluation
        if is_baseline(config) or shown.general or shown.decoding == "channel" or config.prompt.end_of_turn:
            continue
        found.setdefault(repr(replace(config, prompt=replace(config.prompt, template=""))), []).append(config)
    return found


def _all_prompted(config: Config) -> bool:
    """Look at training tasks too: the untuned twins of cells that these make different are no reason to refuse them."""
    read = collection.read_tasks(config.tasks, Path(config.cache))
    return bool(read.test) and all(task.prompted for task in (*read.train, *read.test))


def check_numbers(configs: Sequence[Config]) -> list[str]:
    """Refuse numbers of examples that a grid compares, or explanations, where no prompt differs by them.

    A variant that drops what the tasks have makes equal cells as well; that is its ablation, and is told.
    """
    found: dict[str, None] = {}
    for key in SHOWN:
        for cells in _but_for(key, configs).values():
            read = collection.read_tasks(cells[0].tasks, Path(cells[0].cache))
            for one, other in pairwise(cells):
                if canonical(one.instruction) == canonical(other.instruction) or not equal_prompts(
                    one, other, read
                ):
                    continue
                mine, theirs = (
                    replace(cell, instruction=originals(cell.instruction)) for cell in (one, other)
                )
                if equal_prompts(mine, theirs, read):
                    found[_no_axis(key, one, other)] = None
                else:
                    log.warning("%s", _dropped(key, one, other))
    return list(found)


def _values(key: str, one: Config, other: Config) -> str:
    given = ",".join(str(getattr(cell.instruction, key)) for cell in (one, other))
    return f"instruction.{key}={given}"


def _no_axis(key: str, one: Config, other: Config) -> str:
    return (
        f"{_values(key, one, other)}: the tasks of {one.tasks.reader} have no {SHOWN[key]} that one shows and the "
        f"other does not, or prompt.template={one.prompt.template} has no place for them "
        f"(instruction={label(one.instruction)}), so that their cells would be one another's under other names: "
        "choose one value, or other tasks."
    )


def _dropped(key: str, one: Config, other: Config) -> str:
    return (
        f"{_values(key, one, other)}: instruction={label(one.instruction)} shows the same prompts under both, so that "
        "their cells are one finding, not two"
    )


def _but_for(key: str, configs: Sequence[Config]) -> dict[str, list[Config]]:
    """Group what is shown otherwise in a key of `instruction` alone, by its value; one cell for each."""
    found: dict[str, dict[int, Config]] = {}
    several = len({getattr(config.instruction, key) for config in configs}) > 1
    for config in configs if several else ():
        if not is_baseline(config) and not is_untuned(config):
            plain = replace(config.instruction, **{key: getattr(_NOTHING, key)})
            shown = (
                config.tasks,
                config.model,
                config.prompt,
                config.evaluation.instructions,
                config.reference,
            )
            own = found.setdefault(repr((plain, *shown)), {})
            own.setdefault(getattr(config.instruction, key), config)
    return {place: [own[value] for value in sorted(own)] for place, own in found.items() if len(own) > 1}


def needless_seeds(configs: Sequence[Config]) -> list[str]:
    """Say of copies of examples that no seed draws, asked for under several seeds, that one of them would do."""
    found: dict[str, tuple[Config, dict[int, None]]] = {}
    for config in configs:
        if is_baseline(config) and config.model.name in READS_INSTRUCTION:
            cell = effective(config)
            if not drawn_at_test(cell):
                _, seeds = found.setdefault(repr(replace(cell, seed=0)), (config, {}))
                seeds[cell.seed] = None
    told = (
        f"model={config.model.name} seed={','.join(map(str, seeds))}: no seed changes the examples that it copies "
        f"(instruction={label(effective(config).instruction)}), so that one seed would do; tables count them once"
        for config, seeds in found.values()
        if len(seeds) > 1
    )
    return list(dict.fromkeys(told))
