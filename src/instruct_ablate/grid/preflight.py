"""All cells of a grid checked before the first one starts; all faults told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.mirror.loggers import check_logger
from instruct_ablate.cell.run.reuse import REUSE
from instruct_ablate.cell.state.canonical import effective, is_baseline, is_untuned, shown_at_test
from instruct_ablate.errors import UserError, UserErrors, among
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.tasks.task import Task

DECODINGS = ("greedy", "constrained", "rank", "rank_normalized")
ENGINES = ("native", "vllm")
RETRIES = ("failed", "none")
PRECISIONS = ("auto", "bf16", "fp32", "fp16")


def faults(configs: Sequence[Config], ranks_later: bool = False) -> list[str]:
    """Return what would stop these cells, each fault once.

    `ranks_later`: the launcher starts a cell's processes itself, so that there is but one here and now.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    for config in map(effective, configs):
        for name, check in _checks(_single(config) if ranks_later else config):
            if name not in seen:
                seen.add(name)
                found |= dict.fromkeys(_told(check))
    return list(found)


def _single(config: Config) -> Config:
    return replace(config, trainer=replace(config.trainer, devices=1, num_nodes=1))


def _told(check: Callable[[], object]) -> tuple[str, ...]:
    try:
        result = check()
    except UserErrors as error:
        return error.faults
    except UserError as error:
        return (str(error),)
    return tuple(map(str, result)) if isinstance(result, list) else ()


def _checks(config: Config) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the checks of a cell, each with a name under which it is done once."""
    yield (
        f"tasks {config.tasks} {config.instruction} {config.evaluation} {config.seed}",
        lambda: _variants(config),
    )
    if config.evaluation.decoding != "greedy" and not is_baseline(config):
        yield f"labels {config.tasks} {config.model}", lambda: _labels(config)
    yield f"logger {config.logger}", lambda: check_logger(config.logger)
    yield f"settings {config.prompt} {config.evaluation} {config.seed}", lambda: _settings(config)
    yield f"sweep {config.retry} {config.reuse}", lambda: _sweep(config)
    yield f"hypotheses {config.hypotheses}", lambda: _hypotheses(config)
    yield f"budget {config.data_budget}", lambda: _budget(config)
    if not is_baseline(config):
        yield f"model {config.model}", lambda: _checkpoint(config)
        yield f"trainer {config.trainer} {config.model}", lambda: _trainer(config)
        yield f"precision {config.trainer.precision} {config.model}", lambda: _precision(config)


def _settings(config: Config) -> list[str]:
    """Check names that the prompt and the evaluation will look up, and numbers they could not use."""
    from instruct_ablate.metrics import load_metrics
    from instruct_ablate.prompt import build  # noqa: F401 - templates register themselves
    from instruct_ablate.prompt.template import find_template

    evaluation = config.evaluation
    checks: list[Callable[[], object]] = [
        lambda: find_template(config.prompt.template),
        lambda: load_metrics(evaluation.metrics),
        lambda: among("evaluation.decoding", evaluation.decoding, DECODINGS),
        lambda: among("evaluation.engine", evaluation.engine, ENGINES),
    ]
    found = [fault for check in checks for fault in _told(check)]
    return found + ([f"seed={config.seed}: give 0 or more"] if config.seed < 0 else [])


def _sweep(config: Config) -> None:
    among("retry", config.retry, RETRIES)
    among("reuse", config.reuse, REUSE)


def _hypotheses(config: Config) -> list[str]:
    from instruct_ablate.hypotheses import parse_hypothesis

    return [fault for text in config.hypotheses for fault in _told(partial(parse_hypothesis, text))]


def _precision(config: Config) -> None:
    """Check the precision's name; where it may not suit model or machine, whether it does."""
    precision = config.trainer.precision
    among("trainer.precision", precision, PRECISIONS)
    if precision == "fp16":
        from instruct_ablate.model.loading.location import check_checkpoint
        from instruct_ablate.model.loading.precision import resolve_precision

        resolve_precision(
            precision, config.trainer.accelerator, check_checkpoint(config.model) == "encoder-decoder"
        )


def _budget(config: Config) -> list[str]:
    budget = config.data_budget
    return [
        f"data_budget.{name}={value}: give 0 (untuned) or more"
        for name, value in (("instances_per_task", budget.instances_per_task), ("tasks", budget.tasks))
        if value is not None and value < 0
    ]


def _variants(config: Config) -> list[str]:
    """Check that the tasks can be shown under the training and the test instructions."""
    from instruct_ablate.instruction.check import check_variant
    from instruct_ablate.instruction.context import Context
    from instruct_ablate.tasks.collection import read_tasks

    collection = read_tasks(config.tasks, Path(config.cache))
    trained = [] if is_untuned(config) else [(config.instruction, collection.train)]
    found = []
    for instruction, tasks in (*trained, *((shown, collection.test) for _, shown in shown_at_test(config))):
        context = Context(config.seed, tasks)
        found += [fault for task in tasks if (fault := check_variant(task, instruction, context))]
    return found + ([] if is_baseline(config) else _choices(config, collection.test))


def _choices(config: Config, tested: Sequence[Task]) -> list[str]:
    """Check that constrained decoding and ranking have choices, and can tell them apart."""
    from instruct_ablate.instruction.outputs import equal_labels

    decoding = config.evaluation.decoding
    if decoding == "greedy":
        return []
    found = [fault for task in tested if (fault := equal_labels(task))]
    for task in tested:
        if decoding.startswith("rank") and task.prompted and task.unlisted:
            found.append(
                f"{task.name}: evaluation.decoding={decoding}: {task.unlisted} of {len(task.instances)} rows have no "
                "answer_choices to rank. Leave the prompt set out (tasks.include) or use evaluation=greedy."
            )
    return found


def _labels(config: Config) -> list[str]:
    """Check that the model's tokenizer can tell the labels apart."""
    from instruct_ablate.model.decoding.label_check import check_labels
    from instruct_ablate.model.loading.checkpoint import load_tokenizer
    from instruct_ablate.tasks.collection import read_tasks

    tested = read_tasks(config.tasks, Path(config.cache)).test
    return check_labels(tested, load_tokenizer(config.model, Path(config.cache)))


def _checkpoint(config: Config) -> object:
    from instruct_ablate.model.loading.location import check_checkpoint

    return check_checkpoint(config.model)


def _trainer(config: Config) -> None:
    from instruct_ablate.model.training.settings import check_trainer

    check_trainer(config)
