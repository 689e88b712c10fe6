"""All cells of a grid checked before the first one starts; all faults told at once.

First the values of each group, by the group's own check; then what takes reading: tasks, checkpoint, labels. A check
is done once for the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.mirror.settings import check_logger
from instruct_ablate.cell.run.selection import check_defined, check_selection
from instruct_ablate.cell.run.settings import check_folder, check_names, check_place, check_reference
from instruct_ablate.cell.state.canonical import effective, is_baseline, is_untuned, shown_at_test
from instruct_ablate.data.settings import check_batches, check_data, check_encodings
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.extensions import load_extensions
from instruct_ablate.grid.effects import NeedsTokenizer, check_drawn, check_effects, check_effects_uncut
from instruct_ablate.instruction.encodings import encodings
from instruct_ablate.instruction.settings import check_instruction
from instruct_ablate.limits import text_fault
from instruct_ablate.metrics.measures import check_columns, check_shown
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
    check_prompt_weight,
)
from instruct_ablate.parts import OncePerParts
from instruct_ablate.prompt.settings import check_prompt
from instruct_ablate.prompt.template_set import every_template
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    ReportConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks import budget, collection
from instruct_ablate.tasks.general import check_general, read_general
from instruct_ablate.top_layers import ALL

if TYPE_CHECKING:
    from instruct_ablate.tasks.task import Task

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
        return list(_faults(check_names, (config,))) or self._of_parts.get(config, self._of_groups)

    def _of_groups(self, config: Config) -> list[str]:
        """Return the faults of all values but the seed, which those of names tell."""
        stages: tuple[Iterable[Call], ...] = (
            ((load_extensions, (config.extensions,)),),
            _values(config),
            ((check_folder, ("cache", config.cache)),),
        )
        return next((found for stage in stages if (found := self._told([*stage]))), [])

    def of_cell(self, config: Config, ranks_later: bool = False) -> list[str]:
        """Return what would stop a cell whose values are sound.

        `ranks_later`: the launcher starts a cell's processes itself, so that there is but one here and now.
        """
        return self._told([*_checks(effective(config), ranks_later)])

    def _told(self, calls: Sequence[Call]) -> list[str]:
        """Make the calls that were not made yet with the same arguments; return the faults of all."""
        found: dict[str, None] = {}
        for function, arguments in calls:
            key = f"{function.__module__}.{function.__qualname__}{arguments!r}"
            if key not in self._results:
                self._results[key] = _faults(function, arguments)
            found |= dict.fromkeys(self._results[key])
        return list(found)


def faults(configs: Sequence[Config], ranks_later: bool = False) -> list[str]:
    """Return what would stop these cells, each fault once."""
    preflight, found = Preflight(), dict[str, None]()
    for config in configs:
        told = preflight.of_values(config) or preflight.of_cell(config, ranks_later)
        found |= dict.fromkeys(told)
    return list(found)


MOST_DRAWN = 60  # cells that a plan checks each; of more, the first seed of every setting


def planned_faults(configs: Sequence[Config], ranks_later: bool = False) -> tuple[list[str], list[str]]:
    """Return what would stop these cells as far as no model is loaded for it, and in words what is left to the start.

    Nothing is written. Variants are drawn for every seed: of a large grid each setting is checked for its first.
    """
    preflight, found, left = Preflight(), dict[str, None](), dict[str, None]()
    checked, every = dict[int, None](), len(configs) <= MOST_DRAWN

    def check(config: Config) -> None:
        checked[id(config)] = None
        for function, given in _checks(effective(config), ranks_later):
            try:
                if function in LOADING and (what := LOADING[function](*given)):
                    left.setdefault(what)
                else:
                    found.update(dict.fromkeys(preflight._told([(PLANNED.get(function, function), given)])))
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
    if len(checked) < len(configs):
        left.setdefault("what is drawn for other seeds than the first of each setting")
    return list(found), list(left)


def _faults(function: Callable[..., object], arguments: tuple[Any, ...]) -> tuple[str, ...]:
    try:
        result = function(*arguments)
    except UserErrors as error:
        return error.faults
    except UserError as error:
        return (str(error),)
    return tuple(map(str, result)) if isinstance(result, list) else ()


def _values(config: Config) -> Iterator[Call]:
    """Yield the checks of all groups."""
    for name, checks in GROUPS.items():
        for check in checks:
            yield check, (vars(config)[name],)
    cut = (config.evaluation.cut_wrong_answers, config.evaluation.answer_slack)
    engine = config.evaluation.engine
    engine, decoding = ("native", "greedy") if is_baseline(config) else (engine, config.evaluation.decoding)
    yield _metrics, (config.evaluation.metrics, config.extensions, cut, engine, decoding)
    yield check_columns, (config.report,)
    yield _shown, (config.evaluation.metrics, config.report)
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


def _checks(config: Config, ranks_later: bool) -> Iterator[Call]:
    """Yield the checks of a cell that read something; its arguments are all that a check looks at."""
    cache, untuned = Path(config.cache), is_untuned(config)
    yield check_folder, ("output", config.output)
    shown = tuple(instruction for _, instruction in shown_at_test(config))
    drawn = replace(Config(), tasks=config.tasks, cache=config.cache, seed=config.seed)
    trained_on = None if untuned else encodings(config.instruction, config.data)[-1]
    yield _variants, (drawn, trained_on, shown)
    seen = replace(drawn, model=config.model, prompt=config.prompt, reference=config.reference)
    yield check_effects, (seen, trained_on, shown)
    yield _constraints, (config.tasks, cache, config.evaluation.metrics, config.extensions)
    if is_baseline(config):
        return
    yield _own_prompts, (config.tasks, cache, config.prompt)
    yield _checkpoint, (config.model, config.prompt, config.evaluation.engine)
    yield _precision, (config.trainer, config.model)
    yield _choices, (config.tasks, cache, config.evaluation, config.prompt)
    if config.evaluation.general:
        yield _general, (config.evaluation.general, cache, config.model, config.prompt)
    yield _tokenizer, (config.model, config.tasks, cache, config.prompt, config.evaluation.decoding)
    if not untuned:
        yield _prompt_weight, (config.model, config.trainer)
        yield _layers, (config.model, config.method, cache)
        yield _shots, (config.tasks, cache, config.data_budget)
        yield check_defined, (config.tasks, cache, config.trainer)
        yield check_drawn, (replace(drawn, instruction=config.instruction, data=config.data),)
    if not ranks_later:
        yield check_processes, (config.trainer,)


def _metrics(
    names: Sequence[str], files: Sequence[str], cut: tuple[bool, int | None], engine: str, decoding: str
) -> None:
    from instruct_ablate.metrics.registry import check_whole, load_metrics, reading_model
    from instruct_ablate.model.decoding.settings import check_likelihoods

    if not any(text_fault(name) for name in names):  # those the group's own check names
        loaded = load_metrics(names, files)
        check_whole(loaded, *cut)
        check_likelihoods(engine, reading_model(loaded), decoding)
        for one in loaded:
            if one.check is not None:
                one.check()


def _shown(names: Sequence[str], report: ReportConfig) -> None:
    from instruct_ablate.metrics.registry import named_metrics

    if not any(map(text_fault, names)) and not _faults(check_columns, (report,)):
        check_shown(named_metrics(names), report.columns)


def _constraints(tasks: TasksConfig, cache: Path, names: Sequence[str], files: Sequence[str]) -> None:
    """Check that answers which constraints check are scored by them, and that all of these can be checked here."""
    from instruct_ablate.metrics.constraints import check_tested
    from instruct_ablate.metrics.registry import load_metrics

    check_tested(collection.read_tasks(tasks, cache).test, load_metrics(names, files))


def _asks_precision(trainer: TrainerConfig, _: ModelConfig) -> str:
    return "whether model and machine take fp16" if trainer.precision == "fp16" else ""


def _precision(trainer: TrainerConfig, model: ModelConfig) -> None:
    """Check whether a precision that may not suit model or machine does."""
    if _asks_precision(trainer, model):
        from instruct_ablate.model.loading.location import check_checkpoint
        from instruct_ablate.model.loading.precision import resolve_precision

        resolve_precision("fp16", trainer.accelerator, check_checkpoint(model) == "encoder-decoder")


def _variants(
    config: Config, trained_on: InstructionConfig | None, shown: tuple[InstructionConfig, ...]
) -> list[str]:
    """Check that there are tasks, and that they can be shown under the training and the test instructions."""
    from instruct_ablate.instruction.check import check_variant
    from instruct_ablate.instruction.context import Context

    read = collection.read_tasks(config.tasks, Path(config.cache))
    found = []
    if trained_on is not None:
        budget.check_trainable(read.train, config.tasks)
        context = Context.of(config, read, "train")
        found = [fault for task in read.train if (fault := check_variant(task, trained_on, context))]
        held = Context.of(config, read, "validation")
        found += [fault for task in read.validation if (fault := check_variant(task, trained_on, held))]
    context = Context.of(config, read, "test")
    pairs = [(task, instruction) for instruction in shown for task in read.test]
    return found + [
        fault for task, instruction in pairs if (fault := check_variant(task, instruction, context))
    ]


def _shots(tasks: TasksConfig, cache: Path, given: BudgetConfig) -> None:
    """Check that every task has so many instances where test tasks are trained on, and that weights have a total."""
    train = collection.read_tasks(tasks, cache).train
    budget.check_shots(train, tasks, given)
    budget.check_parts(train, given)


def _choices(
    tasks: TasksConfig, cache: Path, evaluation: EvaluationConfig, prompt: PromptConfig
) -> list[str]:
    """Check that constrained decoding and ranking have choices, and can tell them apart."""
    from instruct_ablate.instruction.outputs import equal_labels
    from instruct_ablate.model.decoding.settings import check_channel

    decoding = evaluation.decoding
    if decoding == "greedy":
        return []
    tested = _scored(tasks, cache)
    if decoding == "channel":
        check_channel(tested, prompt)
    # Choices of a prompt set's rows are told apart by their place, as T0's; strict_exact_match counts them so.
    spaces = [task for task in tested if task.label_space is not None or not task.prompted]
    found = [fault for task in spaces if (fault := equal_labels(task))]
    return found + [
        _unlisted(task, decoding) for task in tested if decoding.startswith("rank") and _lacks(task)
    ]


def _general(general: dict[str, Any], cache: Path, model: ModelConfig, prompt: PromptConfig) -> list[str]:
    """Check that the questions by which general ability is held have choices, which the tokenizer tells apart."""
    from instruct_ablate.instruction.outputs import equal_labels
    from instruct_ablate.model.decoding.label_check import check_labels
    from instruct_ablate.model.loading.checkpoint import load_tokenizer

    tested = read_general(general, cache).test
    spaces = [task for task in tested if task.label_space is not None or not task.prompted]
    found = [fault for task in spaces if (fault := equal_labels(task))]
    found = found or check_labels(tested, load_tokenizer(model, cache), prompt.max_target_length)
    return [f"evaluation.general: {fault}" for fault in found]


def _scored(tasks: TasksConfig, cache: Path) -> tuple[Task, ...]:
    """Return the tasks that a model is scored on: the test tasks, and those held out of training."""
    read = collection.read_tasks(tasks, cache)
    return (*read.test, *read.validation)


def _lacks(task: Task) -> bool:
    return bool(task.prompted and task.unlisted)


def _unlisted(task: Task, decoding: str) -> str:
    return (
        f"{task.name}: evaluation.decoding={decoding}: {task.unlisted} of {len(task.instances)} rows have no "
        "answer_choices to rank. Leave the prompt set out (tasks.include) or use evaluation=greedy."
    )


def _tokenizer(
    model: ModelConfig, tasks: TasksConfig, cache: Path, prompt: PromptConfig, decoding: str
) -> list[str]:
    """Check what only the model's tokenizer tells: labels that it confuses or cuts, a chat template it lacks."""
    from instruct_ablate.model.decoding.label_check import check_labels, cut_labels, may_cut_labels

    tested, limit = _scored(tasks, cache), prompt.max_target_length
    if not _asks_tokenizer(model, tasks, cache, prompt, decoding):
        return []
    from instruct_ablate.model.loading.chat_format import check_chat
    from instruct_ablate.model.loading.checkpoint import load_tokenizer

    tokenizer = load_tokenizer(model, cache)
    if "chat" in every_template(prompt):
        check_chat(tokenizer, prompt)
    if decoding == "greedy":
        return cut_labels(tested, tokenizer, limit) if may_cut_labels(tested, limit) else []
    return check_labels(tested, tokenizer, limit)


def _asks_tokenizer(
    _: ModelConfig, tasks: TasksConfig, cache: Path, prompt: PromptConfig, decoding: str
) -> str:
    """Say what a tokenizer is asked for; empty where it is not."""
    from instruct_ablate.model.decoding.label_check import may_cut_labels

    if "chat" in every_template(prompt):
        return "whether the tokenizer has a chat template"
    asked = decoding != "greedy" or may_cut_labels(_scored(tasks, cache), prompt.max_target_length)
    return "whether the tokenizer cuts labels or confuses them" if asked else ""


def _own_prompts(tasks: TasksConfig, cache: Path, prompt: PromptConfig) -> None:
    """Refuse several templates where all test tasks bring prompts of their own: each would be shown the same.

    A training template of its own is one of them: what is said to be trained with one and tested with another is not.
    """
    if len(every_template(prompt)) > 1:
        tested = collection.read_tasks(tasks, cache).test
        if tested and all(task.prompted for task in tested):
            raise UserError(
                f"prompt.template={prompt.template}: the tasks of {tasks.reader} bring their own prompts, which no "
                "template changes: choose one template."
            )


def _checkpoint(model: ModelConfig, prompt: PromptConfig, engine: str) -> None:
    from instruct_ablate.model.decoding.settings import check_kind
    from instruct_ablate.model.loading.location import check_room, facts

    known = facts(model)
    check_room(known, prompt)
    check_kind(engine, known.kind == "encoder-decoder")


def _prompt_weight(model: ModelConfig, trainer: TrainerConfig) -> None:
    from instruct_ablate.model.loading.location import check_checkpoint

    if trainer.prompt_loss_weight:
        check_prompt_weight(trainer, check_checkpoint(model) == "encoder-decoder")


def _asks_layers(_: ModelConfig, method: MethodConfig, __: Path) -> str:
    some = method.target_modules or method.target != "all_linear" or method.layers != ALL
    return "whether the model has the layers to adapt" if method.name == "lora" and some else ""


def _layers(model: ModelConfig, method: MethodConfig, cache: Path) -> None:
    """Check that the layers to adapt are there; all linear ones always are."""
    if _asks_layers(model, method, cache):
        from instruct_ablate.model.training.lora import check_layers

        check_layers(model, method, cache)


# Checks that load a tokenizer or a model: what they are asked for in words, empty where they load nothing.
LOADING: dict[Callable[..., object], Callable[..., str]] = {
    _tokenizer: _asks_tokenizer,
    _layers: _asks_layers,
    _precision: _asks_precision,
    _general: lambda *_: "whether the tokenizer tells the answers of evaluation.general apart",
}
EFFECTS = "whether variants alter prompts that are cut"
# What a plan asks in a check's place: the same, by other means.
PLANNED: dict[Callable[..., object], Callable[..., object]] = {
    check_folder: check_place,
    check_effects: check_effects_uncut,
}
