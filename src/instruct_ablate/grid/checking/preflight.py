"""All cells of a grid checked before the first one starts; all faults told at once.

First the values of each group, by the group's own check; then what takes reading: tasks, checkpoint, labels. A check
is done once for the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.mirror.settings import check_logger
from instruct_ablate.cell.run.selection import check_defined, check_selection
from instruct_ablate.cell.run.settings import check_folder, check_names, check_place, check_reference
from instruct_ablate.cell.state.canonical import effective, is_baseline, is_untuned, shown_at_test
from instruct_ablate.configuration.extensions import load_extensions
from instruct_ablate.configuration.parts import OncePerParts
from instruct_ablate.data.settings import check_batches, check_data, check_encodings
from instruct_ablate.errors import UserError
from instruct_ablate.grid.checking.axes import check_numbers, check_templates
from instruct_ablate.grid.checking.effects import (
    NeedsTokenizer,
    check_drawn,
    check_effects,
    check_effects_uncut,
)
from instruct_ablate.grid.checking.reading_checks import (
    LOADING,
    check_adapted,
    check_asked_columns,
    check_asked_metrics,
    check_budget,
    check_choices,
    check_constraints,
    check_general_choices,
    check_model_fits,
    check_own_prompts,
    check_precision,
    check_sharing,
    check_tokenizer,
    check_variants,
    check_weighted,
    faults_of,
)
from instruct_ablate.grid.checking.shortages import (
    tell_few_examples,
    tell_few_instances,
    tell_few_instances_planned,
    tell_few_tasks,
)
from instruct_ablate.instruction.encodings import encodings
from instruct_ablate.instruction.settings import check_instruction
from instruct_ablate.metrics.measures import check_columns
from instruct_ablate.model.decoding.settings import check_evaluation, check_thinking
from instruct_ablate.model.loading.settings import check_model
from instruct_ablate.model.training.settings import (
    check_dora,
    check_dropout,
    check_machine,
    check_method,
    check_optimisation,
    check_points,
    check_processes,
)
from instruct_ablate.prompt.settings import check_prompt
from instruct_ablate.schema import Config
from instruct_ablate.tasks import collection
from instruct_ablate.tasks.general import check_general
from instruct_ablate.tasks.sampling import budget
from instruct_ablate.terminal import each_line_once

Call = tuple[Callable[..., object], tuple[Any, ...]]
# Checks of single groups: what stands in the group is all they look at.
GROUPS: dict[str, tuple[Callable[[Any], object], ...]] = {
    "tasks": (collection.check,),
    "instruction": (check_instruction,),
    "data_budget": (budget.check,),
    "model": (check_model,),
    "method": (check_method,),
    "prompt": (check_prompt,),
    "data": (check_data,),
    "trainer": (check_batches, check_optimisation, check_machine),
    "logger": (check_logger,),
}


class Preflight:
    """Checks cells, and remembers what was checked and told."""

    def __init__(self) -> None:
        self._results: dict[str, tuple[str, ...]] = {}
        self._of_parts = OncePerParts[list[str]]("seed")

    def of_values(self, config: Config) -> list[str]:
        """Return the faults of a cell's values; nothing is read but the user's own code."""
        return list(faults_of(check_names, (config,))) or self._of_parts.get(config, self._of_groups)

    def _of_groups(self, config: Config) -> list[str]:
        """Return the faults of all values but the seed, which those of names tell."""
        stages: tuple[Iterable[Call], ...] = (
            ((load_extensions, (config.extensions,)),),
            value_checks(config),
            ((check_folder, ("cache", config.cache)),),
        )
        return next((found for stage in stages if (found := self.told([*stage]))), [])

    def of_cell(self, config: Config, ranks_later: bool = False) -> list[str]:
        """Return what would stop a cell whose values are sound.

        `ranks_later`: the launcher starts a cell's processes itself, so that there is but one here and now.
        """
        return self.told([*cell_checks(effective(config), ranks_later)])

    def told(self, calls: Sequence[Call]) -> list[str]:
        """Make the calls that were not made yet with the same arguments; return the faults of all."""
        found: dict[str, None] = {}
        for function, arguments in calls:
            # By what they print: configurations hold lists, and so have no hash.
            key = f"{function.__module__}.{function.__qualname__}{arguments!r}"
            if key not in self._results:
                self._results[key] = faults_of(function, arguments)
            found |= dict.fromkeys(self._results[key])
        return list(found)


@collection.each_read_once()
@each_line_once()
def faults(configs: Sequence[Config], ranks_later: bool = False) -> list[str]:
    """Return what would stop these cells, each fault once."""
    preflight, found, sound = Preflight(), dict[str, None](), list[Config]()
    for config in configs:
        if told := preflight.of_values(config):
            found |= dict.fromkeys(told)
            continue
        found |= dict.fromkeys(preflight.of_cell(config, ranks_later))
        sound.append(config)
    return list(found | dict.fromkeys(_faults_of_axes(sound)))


def _faults_of_axes(configs: Sequence[Config]) -> list[str]:
    """Return the faults of what a grid compares, which no cell has by itself."""
    return [fault for check in (check_templates, check_numbers) for fault in faults_of(check, (configs,))]


MOST_DRAWN = 60  # cells that a plan checks each; of more, the first seed of every setting


@collection.each_read_once()
@each_line_once()
def planned_faults(configs: Sequence[Config], ranks_later: bool = False) -> tuple[list[str], list[str]]:
    """Return what would stop these cells as far as no model is loaded for it, and in words what is left to the start.

    Nothing is written. Variants are drawn for every seed: of a large grid each setting is checked for its first.
    """
    preflight, found, left = Preflight(), dict[str, None](), dict[str, None]()
    checked, every = dict[int, None](), len(configs) <= MOST_DRAWN

    def check(config: Config) -> None:
        checked[id(config)] = None
        for function, given in cell_checks(effective(config), ranks_later):
            try:
                if function in LOADING and (what := LOADING[function](*given)):
                    left.setdefault(what)
                else:
                    found.update(dict.fromkeys(preflight.told([(PLANNED.get(function, function), given)])))
            except NeedsTokenizer:
                left.setdefault(EFFECTS)
            except UserError as fault:  # tasks that cannot be read
                found.setdefault(str(fault))

    once = OncePerParts[None]("seed")
    for config in configs:
        if every:
            check(config)
        else:
            once.get(config, check)
    found |= dict.fromkeys(_faults_of_axes(configs))
    if len(checked) < len(configs):
        left.setdefault("what is drawn for other seeds than the first of each setting")
    return list(found), list(left)


def value_checks(config: Config) -> Iterator[Call]:
    """Yield the checks of all groups."""
    for name, checks in GROUPS.items():
        for check in checks:
            yield check, (vars(config)[name],)
    cut = (config.evaluation.cut_wrong_answers, config.evaluation.answer_slack)
    engine = config.evaluation.engine
    engine, decoding = ("native", "greedy") if is_baseline(config) else (engine, config.evaluation.decoding)
    yield check_asked_metrics, (config.evaluation.metrics, config.extensions, cut, engine, decoding)
    yield check_columns, (config.report,)
    yield check_asked_columns, (config.evaluation.metrics, config.report)
    yield check_encodings, (config.data, config.prompt)
    yield check_dropout, (config.trainer, config.data)
    yield check_dora, (config.method, config.trainer)
    yield check_evaluation, (config.evaluation, config.instruction)
    yield check_thinking, (config.evaluation, config.prompt)
    yield check_general, (config.evaluation.general,)
    yield check_points, (config.evaluation, config.trainer)
    if not is_untuned(config):
        yield check_selection, (config.trainer, config.evaluation, config.tasks)
    yield check_reference, (config.reference, config.instruction)
    for text in config.hypotheses:
        from instruct_ablate.hypotheses import parse_hypothesis

        yield parse_hypothesis, (text,)


def cell_checks(config: Config, ranks_later: bool) -> Iterator[Call]:
    """Yield the checks of a cell that read something; its arguments are all that a check looks at."""
    cache, untuned = Path(config.cache), is_untuned(config)
    yield check_folder, ("output", config.output)
    shown = tuple(instruction for _, instruction in shown_at_test(config))
    drawn = replace(Config(), tasks=config.tasks, cache=config.cache, seed=config.seed)
    ways = encodings(config.instruction, config.data)
    trained_on = None if untuned else ways[-1]
    yield check_variants, (drawn, trained_on, shown)
    numbers = trained_on if len(ways) == 1 else None  # of several encodings, `check_drawn` tells
    yield tell_few_examples, (replace(drawn, model=config.model), numbers, shown)
    yield tell_few_tasks, (config.tasks, cache)
    seen = replace(drawn, model=config.model, prompt=config.prompt, reference=config.reference)
    yield check_effects, (seen, trained_on, shown)
    yield check_constraints, (config.tasks, cache, config.evaluation.metrics, config.extensions)
    if is_baseline(config):
        return
    yield check_own_prompts, (config.tasks, cache, config.prompt)
    yield check_model_fits, (config.model, config.prompt, config.evaluation.engine)
    yield check_precision, (config.trainer, config.model)
    yield check_choices, (config.tasks, cache, config.evaluation, config.prompt)
    if config.evaluation.general:
        yield check_general_choices, (config.evaluation.general, cache, config.model, config.prompt)
    yield check_tokenizer, (config.model, config.tasks, cache, config.prompt, config.evaluation.decoding)
    if not untuned:
        yield check_weighted, (config.model, config.trainer)
        yield check_sharing, (config.model, config.data)
        yield check_adapted, (config.model, config.method, cache)
        yield check_budget, (config.tasks, cache, config.data_budget)
        yield tell_few_instances, (config.tasks, cache, config.data_budget)
        yield check_defined, (config.tasks, cache, config.trainer)
        yield check_drawn, (replace(drawn, instruction=config.instruction, data=config.data),)
    if not ranks_later:
        yield check_processes, (config.trainer,)


EFFECTS = "whether variants alter prompts that are cut"
# What a plan asks in a check's place: the same, by other means.
PLANNED: dict[Callable[..., object], Callable[..., object]] = {
    check_folder: check_place,
    check_effects: check_effects_uncut,
    tell_few_instances: tell_few_instances_planned,
}
