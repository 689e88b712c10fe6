"""Checks of a cell that read something: tasks, labels, a checkpoint's facts, a tokenizer.

Each takes what it looks at and nothing else, so that it is made once for cells that are alike in that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.configuration.top_layers import ALL
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.limits import text_fault
from instruct_ablate.metrics.measures import check_columns, check_shown
from instruct_ablate.model.training.settings import check_prompt_weight, check_shared
from instruct_ablate.prompt.template_set import every_template
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    ReportConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks import collection
from instruct_ablate.tasks.general import read_general
from instruct_ablate.tasks.sampling import budget

if TYPE_CHECKING:
    from instruct_ablate.tasks.task import Task


def faults_of(function: Callable[..., object], arguments: tuple[Any, ...]) -> tuple[str, ...]:
    """Make a check and return its faults, one a line."""
    try:
        result = function(*arguments)
    except UserErrors as error:
        return error.faults
    except UserError as error:
        return (str(error),)
    return tuple(map(str, result)) if isinstance(result, list) else ()


def check_asked_metrics(
    names: Sequence[str], files: Sequence[str], cut: tuple[bool, int | None], engine: str, decoding: str
) -> None:
    """Check that metrics are there, have what they read, and score whole answers."""
    from instruct_ablate.metrics.registry import check_whole, load_metrics, reading_model
    from instruct_ablate.model.decoding.settings import check_likelihoods

    if not any(text_fault(name) for name in names):  # those the group's own check names
        loaded = load_metrics(names, files)
        check_whole(loaded, *cut)
        check_likelihoods(engine, reading_model(loaded), decoding)
        for one in loaded:
            if one.check is not None:
                one.check()


def check_asked_columns(names: Sequence[str], report: ReportConfig) -> None:
    """Check that the columns of a report are of metrics that are scored."""
    from instruct_ablate.metrics.registry import named_metrics

    if not any(map(text_fault, names)) and not faults_of(check_columns, (report,)):
        check_shown(named_metrics(names), report.columns)


def check_constraints(tasks: TasksConfig, cache: Path, names: Sequence[str], files: Sequence[str]) -> None:
    """Check that answers which constraints check are scored by them, and that all of these can be checked here."""
    from instruct_ablate.metrics.constraints import check_tested
    from instruct_ablate.metrics.registry import load_metrics

    check_tested(collection.read_tasks(tasks, cache).test, load_metrics(names, files))


def asks_precision(trainer: TrainerConfig, _: ModelConfig) -> str:
    """Say what is asked of the machine; empty where nothing is."""
    return "whether model and machine take fp16" if trainer.precision == "fp16" else ""


def check_precision(trainer: TrainerConfig, model: ModelConfig) -> None:
    """Check whether a precision that may not suit model or machine does."""
    if asks_precision(trainer, model):
        from instruct_ablate.model.loading.location import check_checkpoint
        from instruct_ablate.model.loading.precision import resolve_precision

        resolve_precision("fp16", trainer.accelerator, check_checkpoint(model) == "encoder-decoder")


def check_variants(
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


def check_budget(tasks: TasksConfig, cache: Path, given: BudgetConfig) -> None:
    """Check that every task has so many instances where test tasks are trained on, and that weights have a total."""
    train = collection.read_tasks(tasks, cache).train
    budget.check_shots(train, tasks, given)
    budget.check_parts(train, given)


def check_choices(
    tasks: TasksConfig, cache: Path, evaluation: EvaluationConfig, prompt: PromptConfig
) -> list[str]:
    """Check that constrained decoding and ranking have choices, and can tell them apart."""
    from instruct_ablate.instruction.words.outputs import equal_labels
    from instruct_ablate.model.decoding.settings import check_channel

    decoding = evaluation.decoding
    if decoding == "greedy":
        return []
    tested = scored_tasks(tasks, cache)
    if decoding == "channel":
        check_channel(tested, prompt)
    # Choices of a prompt set's rows are told apart by their place, as T0's; strict_exact_match counts them so.
    spaces = [task for task in tested if task.label_space is not None or not task.prompted]
    found = [fault for task in spaces if (fault := equal_labels(task))]
    return found + [
        _unlisted(task, decoding) for task in tested if decoding.startswith("rank") and _lacks(task)
    ]


def check_general_choices(
    general: dict[str, Any], cache: Path, model: ModelConfig, prompt: PromptConfig
) -> list[str]:
    """Check that the questions by which general ability is held have choices, which the tokenizer tells apart."""
    from instruct_ablate.instruction.words.outputs import equal_labels
    from instruct_ablate.model.decoding.answers.label_check import check_labels
    from instruct_ablate.model.loading.checkpoint import load_tokenizer

    tested = read_general(general, cache).test
    spaces = [task for task in tested if task.label_space is not None or not task.prompted]
    found = [fault for task in spaces if (fault := equal_labels(task))]
    found = found or check_labels(tested, load_tokenizer(model, cache), prompt.max_target_length)
    return [f"evaluation.general: {fault}" for fault in found]


def scored_tasks(tasks: TasksConfig, cache: Path) -> tuple[Task, ...]:
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


def check_tokenizer(
    model: ModelConfig, tasks: TasksConfig, cache: Path, prompt: PromptConfig, decoding: str
) -> list[str]:
    """Check what only the model's tokenizer tells: labels that it confuses or cuts, a chat template it lacks."""
    from instruct_ablate.model.decoding.answers.label_check import check_labels, cut_labels, may_cut_labels

    tested, limit = scored_tasks(tasks, cache), prompt.max_target_length
    if not asks_tokenizer(model, tasks, cache, prompt, decoding):
        return []
    from instruct_ablate.model.loading.chat_format import check_chat
    from instruct_ablate.model.loading.checkpoint import load_tokenizer

    tokenizer = load_tokenizer(model, cache)
    if "chat" in every_template(prompt):
        check_chat(tokenizer, prompt)
    if decoding == "greedy":
        return cut_labels(tested, tokenizer, limit) if may_cut_labels(tested, limit) else []
    return check_labels(tested, tokenizer, limit)


def asks_tokenizer(
    _: ModelConfig, tasks: TasksConfig, cache: Path, prompt: PromptConfig, decoding: str
) -> str:
    """Say what a tokenizer is asked for; empty where it is not."""
    from instruct_ablate.model.decoding.answers.label_check import may_cut_labels

    if "chat" in every_template(prompt):
        return "whether the tokenizer has a chat template"
    asked = decoding != "greedy" or may_cut_labels(scored_tasks(tasks, cache), prompt.max_target_length)
    return "whether the tokenizer cuts labels or confuses them" if asked else ""


def check_own_prompts(tasks: TasksConfig, cache: Path, prompt: PromptConfig) -> None:
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


def check_model_fits(model: ModelConfig, prompt: PromptConfig, engine: str) -> None:
    """Check that prompts have room in the model, and that the engine runs its kind."""
    from instruct_ablate.model.decoding.settings import check_kind
    from instruct_ablate.model.loading.location import check_room, facts

    known = facts(model)
    check_room(known, prompt)
    check_kind(engine, known.kind == "encoder-decoder")


def check_weighted(model: ModelConfig, trainer: TrainerConfig) -> None:
    """Check that a loss on prompts has prompts to read, where it is asked for."""
    from instruct_ablate.model.loading.location import check_checkpoint

    if trainer.prompt_loss_weight:
        check_prompt_weight(trainer, check_checkpoint(model) == "encoder-decoder")


def check_sharing(model: ModelConfig, data: DataConfig) -> None:
    """Check that prompts that begin alike can share that, where it is asked for; what shares nothing is told."""
    from instruct_ablate.model.loading.location import check_checkpoint

    if data.grouping != "none":
        check_shared(data, check_checkpoint(model) == "encoder-decoder")


def asks_layers(_: ModelConfig, method: MethodConfig, __: Path) -> str:
    """Say what a model is loaded for; empty where it is not."""
    some = method.target_modules or method.target != "all_linear" or method.layers != ALL
    return "whether the model has the layers to adapt" if method.name == "lora" and some else ""


def check_adapted(model: ModelConfig, method: MethodConfig, cache: Path) -> None:
    """Check that the layers to adapt are there; all linear ones always are."""
    if asks_layers(model, method, cache):
        from instruct_ablate.model.training.lora import check_layers

        check_layers(model, method, cache)


# Checks that load a tokenizer or a model: what they are asked for in words, empty where they load nothing.
LOADING: dict[Callable[..., object], Callable[..., str]] = {
    check_tokenizer: asks_tokenizer,
    check_adapted: asks_layers,
    check_precision: asks_precision,
    check_general_choices: lambda *_: "whether the tokenizer tells the answers of evaluation.general apart",
}
