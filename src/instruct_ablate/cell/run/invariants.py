"""What must hold of a cell before it is done: its weights, its rows, its scores; and what its reader should know.

A cell that breaks an invariant ends as failed: a wrong number is never shown. What may be right but often is not
becomes a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.run.evaluation import score_block
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.notes import prediction_notes
from instruct_ablate.cell.state.record.predictions import PredictionRow, read_predictions
from instruct_ablate.cell.state.record.record import ScoreBlock
from instruct_ablate.errors import BrokenInvariantError, ChangedMeanwhileError
from instruct_ablate.plural import are, counted
from instruct_ablate.prompt.prompt import Prompt

if TYPE_CHECKING:
    import torch

ADVICE = "Remove the cell's folder to have it done again; if that does not help, this is a fault to report."


def check_inputs(
    identity: Identity,
    data: str,
    checkpoint: str | None = None,
    templates: str | None = None,
    general: str | None = None,
    order: str = "",
) -> None:
    """Refuse files that are others than those that the cell is known by: they changed in between.

    `order` is that of the training tasks; a cell that nothing is trained in, or that an earlier version has begun, is
    known by none.
    """
    if identity.order and order not in ("", identity.order):
        raise ChangedMeanwhileError(
            "the order of the training tasks changed while the cell started; run the same command again."
        )
    for what, part, read in (
        ("data", "data", data),
        ("model's files", "checkpoint", checkpoint),
        ("set of templates", "templates", templates),
        ("tasks of evaluation.general", "general", general),
    ):
        if read is not None and identity.counted.get(part) != read:
            raise ChangedMeanwhileError(
                f"the {what} changed while the cell started; run the same command again."
            )


def check_weights(model: torch.nn.Module, trained: bool) -> None:
    """Refuse a model in which a weight is NaN or infinite: whatever it says means nothing."""
    import torch

    with torch.no_grad():
        named = [(name, value) for name, value in model.named_parameters() if value.is_floating_point()]
        # A sum is finite where all it sums is, short of an overflow, and needs no second copy of the weights.
        sums = torch.stack([value.sum(dtype=torch.float32).cpu() for _, value in named])
        suspects = [named[at] for at in torch.nonzero(~torch.isfinite(sums)).flatten().tolist()]
        broken = [name for name, value in suspects if not torch.isfinite(value).all()]
    if broken:
        then = (
            "after training. Lower trainer.learning_rate, or set trainer.gradient_clip or trainer.precision=fp32"
            if trained
            else "as loaded: the checkpoint is damaged, or its numbers are too large for trainer.precision"
        )
        raise BrokenInvariantError(
            f"{len(broken)} of the model's {len(named)} weights are NaN or infinite ({broken[0]}) {then}."
        )


def check_block(
    folder: Path, block: ScoreBlock, prompts: Sequence[Prompt], name: str = ""
) -> tuple[str, ...]:
    """Compare a score block with the predictions on disk and these with what was asked; return what to note."""
    where = f"{block.instruction}, {block.predictions}"
    # Before rows are read: of such rows their reader would say where they stand, not which score it is.
    if fault := _number_fault(block):
        raise BrokenInvariantError(f"{where}: {fault}. {ADVICE}")
    # From the disk: what is held against the scores is what a reader will find.
    rows = read_predictions(folder / block.predictions)
    fault = (
        _rows_fault(rows, prompts)
        or _likelihoods_fault(rows)
        or _scores_fault(block, _in_order(rows, prompts))
    )
    if fault:
        raise BrokenInvariantError(f"{where}: {fault}. {ADVICE}")
    return tuple(f"test, {name or block.instruction}: {note}" for note in prediction_notes(rows))


def _rows_fault(rows: Sequence[PredictionRow], prompts: Sequence[Prompt]) -> str | None:
    """Say how the rows differ from one row a prompt, each with its prompt's references and choices."""
    if len(rows) != len(prompts):
        return f"{counted(len(rows), 'prediction')} for {counted(len(prompts), 'test instance')}"
    by_key = {row.key: row for row in rows}
    if len(by_key) < len(rows):
        more = len(rows) - len(by_key)
        return f"{counted(more, 'prediction')} {are(more)} of an instance that has one already"
    for prompt in prompts:
        row = by_key.get((prompt.task, prompt.instance_id))
        if row is None:
            return f"{prompt.task}, {prompt.instance_id} has no prediction"
        if row.word_rule != prompt.word_rule:
            return f"{prompt.task}, {prompt.instance_id} was cut into words by another rule than the task's"
        if (row.references, row.choices) != (prompt.references, prompt.choices):
            return f"{prompt.task}, {prompt.instance_id} was scored against other references than the task's"
        # Empty under `evaluation.save_prompts=false`.
        if row.prompt not in ("", prompt.source):
            return f"{prompt.task}, {prompt.instance_id} was predicted from another prompt than the task's"
    return None


def _likelihoods_fault(rows: Sequence[PredictionRow]) -> str | None:
    """Say where rows lack the model's likelihoods that others have, or one is no number: a mean would be of some."""
    lacking = sum(row.likelihoods is None for row in rows)
    if 0 < lacking < len(rows):
        return f"{lacking} of {len(rows)} predictions lack the likelihoods of their references"
    for row in rows:
        if not all(math.isfinite(one.log_probability) for one in row.likelihoods or ()):
            return f"{row.task}, {row.instance_id} has a reference whose log-probability is no number"
    return None


def _in_order(rows: Sequence[PredictionRow], prompts: Sequence[Prompt]) -> list[PredictionRow]:
    by_key = {row.key: row for row in rows}
    return [by_key[prompt.task, prompt.instance_id] for prompt in prompts]


def _number_fault(block: ScoreBlock) -> str | None:
    """Say which score is no number."""
    wrong = ((name, value) for name, value in _numbers(block.scores) if not math.isfinite(value))
    return next((f"{name} is {value}" for name, value in wrong), None)


def _scores_fault(block: ScoreBlock, rows: Sequence[PredictionRow]) -> str | None:
    """Say which score is not the mean of the rows."""
    again = dict(_numbers(score_block(block.instruction, rows).scores))
    for name, value in _numbers(block.scores):
        # To the bit: the same code takes the means of the same rows, in the same order.
        if again.pop(name, None) != value:
            return f"{name} is {value} in the record, but not by its predictions"
    return f"{next(iter(again))} is missing in the record" if again else None


def _numbers(value: object, name: str = "scores") -> Iterator[tuple[str, float]]:
    """Yield every number that scores hold, with its place."""
    if isinstance(value, float | int):
        yield name, float(value)
    elif isinstance(value, tuple) and value and isinstance(value[0], str):
        yield from _numbers(value[1], f"{name}.{value[0]}")
    elif isinstance(value, tuple):
        for one in value:
            named = getattr(one, "score", one)
            yield from _numbers(one, f"{name}.{getattr(named, 'name', '')}".rstrip("."))
    elif is_dataclass(value):
        for field in fields(value):
            yield from _numbers(getattr(value, field.name), f"{name}.{field.name}")
