"""What limits on lengths took from the cells of a row: prompts cut, examples left out, answers ended, targets cut.

A score is of the prompts that a model was given, not of those that a variant describes: where definitions leave room
for fewer examples, two variants differ in that too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from instruct_ablate.cell.state.record.record import CellRecord, Environment
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.plural import counted
from instruct_ablate.prompt.lengths import Shares, kinds, told_lengths
from instruct_ablate.report.rows.budgets import span
from instruct_ablate.report.rows.computed import with_model
from instruct_ablate.report.rows.trials import Trial

LEAST = 0.05  # percent: what is less is written as 0, and left to the notes


def lengths_in_tests(cells: Iterable[CellRecord]) -> dict[Trial, tuple[Shares, ...]]:
    """Return for each trial what was met in every test of its done cells; nothing of predictions made elsewhere."""
    found: dict[Trial, list[Shares]] = {}
    for cell, made in with_model(cells):
        for block in cell.blocks:
            told = told_lengths(cell.notes, f"test, {cell.test_name(block)}", _early(made))
            found.setdefault(Trial(cell.setting, block.instruction), []).append(told)
    return {trial: tuple(every) for trial, every in found.items()}


def lengths_in_training(cells: Iterable[CellRecord]) -> dict[Setting, tuple[Shares, ...]]:
    """Return for each trained setting what was met in the training of its done cells."""
    found: dict[Setting, list[Shares]] = {}
    for cell, made in with_model(cells):
        if not cell.setting.untuned:
            told = told_lengths(cell.notes, "training", _early(made))
            found.setdefault(cell.setting, []).append(told)
    return {setting: tuple(every) for setting, every in found.items()}


def _early(made: Environment) -> bool:
    """Whether a record is from before answers and targets that limits cut were noted: `tails` came after both."""
    return made.tails == 0


def lengths_lines(tested: Sequence[Shares], trained: Sequence[Shares]) -> Iterator[str]:
    """Say for a caption what limits took, from the least to the most of the tests, and of the trainings, it is of."""
    for every, where, one in ((tested, "a test", "test"), (trained, "a cell's training", "training")):
        if said := ", ".join(_said(every, one)):
            yield f"limits on lengths, of {where}: {said}"


def _said(every: Sequence[Shares], what: str) -> Iterator[str]:
    known = [dict(one) for one in every]
    for name in kinds():
        shares = [share for one in known if (share := one.get(name, 0.0)) is not None]
        if max(shares, default=0.0) >= LEAST:
            unknown = len(known) - len(shares)
            beside = f" (not noted in {unknown} of {counted(len(known), what)})" if unknown else ""
            yield f"{name} {span(shares)} %{beside}"
