"""Faults that a variant would meet in a task, told before anything is trained."""

from __future__ import annotations

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.instruction import vary
from instruct_ablate.normalisation import label_form
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Task

BORROWED = ("misleading", "misleading_moderate", "misleading_extreme")
OWN_PROMPTS = ("original", "simplified", "empty")
DELUSIVE = ("delusive", "delusive_mended")
ADVICE = "Leave the task out (tasks.include) or choose another variant."


def check_variant(task: Task, config: InstructionConfig, context: Context) -> str | None:
    """Say, by the task's name and with what to do, why a variant cannot be made of it; None where it can."""
    fault = (
        _own_prompts(task, config)
        or _nothing_borrowed(task, config, context)
        or _too_few_examples(task, config, context)
    )
    return f"{task.name}: {fault}" if fault else None


def _own_prompts(task: Task, config: InstructionConfig) -> str | None:
    if not task.prompted:
        return None
    if config.definition not in OWN_PROMPTS:
        return (
            f"instruction.definition={config.definition}: the task brings its own prompts; "
            f"only {', '.join(OWN_PROMPTS)} apply."
        )
    if config.examples not in ("original", "empty"):
        return f"instruction.examples={config.examples}: the task brings its own prompts, without examples."
    return None


def _nothing_borrowed(task: Task, config: InstructionConfig, context: Context) -> str | None:
    if config.definition not in BORROWED:
        return None
    if vary(task, config, context).definition != task.definition:
        return None
    which = " of another category" if config.definition == "misleading_extreme" else ""
    return f"instruction.definition={config.definition}: there is no other task{which}. {ADVICE}"


def _too_few_examples(task: Task, config: InstructionConfig, context: Context) -> str | None:
    wanted = min(config.num_positive, len(task.positive_examples))
    if not wanted or config.examples in ("original", "empty"):
        return None
    if config.examples in DELUSIVE and task.label_space is None and not task.negative_examples:
        return (
            f"instruction.examples={config.examples}: the task has neither negative examples nor a label space. "
            f"{ADVICE}"
        )
    shown = vary(task, config, context).positive_examples[:wanted]
    if config.examples in DELUSIVE and len(shown) < wanted:
        return (
            f"instruction.examples={config.examples}: {len(shown)} of {wanted} wrong examples can be made; the task "
            "has too few negative examples with an output of its own space, and no other output to give. "
            f"{ADVICE}"
        )
    original = task.positive_examples[:wanted]
    if config.examples in ("partly_correct", "permuted_labels"):
        wrong = sum(
            label_form(a.output) != label_form(b.output) for a, b in zip(shown, original, strict=True)
        )
        kept = round(config.correct * wanted) if config.examples == "partly_correct" else 0
        if wrong < wanted - kept:
            return (
                f"instruction.examples={config.examples}: the task has no output that would be wrong. "
                f"{ADVICE}"
            )
    return None
