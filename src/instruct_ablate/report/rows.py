"""Rows of the main table: one per setting (all axes but the seed) and test instruction, meaned over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.baselines import is_baseline_name
from instruct_ablate.cell.state.record import IMPORTED, Axes, CellRecord
from instruct_ablate.metrics import Scores, find_measure


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds with its standard deviation (None for a single seed)."""

    value: float
    deviation: float | None
    seeds: int


@dataclass(frozen=True, slots=True)
class Setting:
    """What a row stands for; two cells that differ in the seed alone share it."""

    axes: Axes  # seed set to 0
    test_instruction: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row: means over the seeds that are done, differences on the seeds both sides have.

    All scores are percentages averaged per task; exact match, format correctness and uniform guess over
    classification tasks, `rougeL` over generation tasks, `overall_rougeL` over all.
    """

    setting: Setting
    exact_match: Mean | None
    rougeL: Mean | None  # noqa: N815 - the field's own name
    overall_rougeL: Mean | None  # noqa: N815
    format_correctness: Mean | None
    uniform_guess: Mean | None
    to_reference: Mean | None  # exact match (ROUGE-L without classification) less the reference variant's
    to_untuned: Mean | None
    unfinished: tuple[tuple[str, int], ...] = ()  # cells of this setting by state, other than done


def trained_on(axes: Axes) -> str:
    """Return what tables say of training: a variant, the untuned model, or the name of what was not trained here."""
    if not axes.untuned:
        return axes.instruction
    return f"({axes.model})" if answers_by_itself(axes) else "(untuned)"


def answers_by_itself(axes: Axes) -> bool:
    """Whether answers come from a baseline or from elsewhere: no model was asked here, and no prompt of ours shown."""
    return is_baseline_name(axes.model) or axes.method == IMPORTED


def budget_text(axes: Axes) -> str:
    """Return what tables say of the budget: nothing where nothing was trained."""
    return "-" if axes.untuned else str(axes.data_budget)


Measure = Callable[[Scores], float | None]


def exact_match(scores: Scores) -> float | None:
    """Exact match over classification tasks, averaged per task."""
    return find_measure("exact_match").value(scores)


def generation_rouge(scores: Scores) -> float | None:
    """ROUGE-L over generation tasks, averaged per task."""
    return find_measure("generation_rougeL").value(scores)


def overall_rouge(scores: Scores) -> float | None:
    """ROUGE-L over all tasks, averaged per task."""
    return find_measure("rougeL").value(scores)


def format_correctness(scores: Scores) -> float | None:
    """Share of classification predictions inside the label space, averaged per task."""
    return find_measure("format_correctness").value(scores)


def uniform_guess(scores: Scores) -> float | None:
    """Expected exact match of a uniform guess over the label space, averaged per task."""
    return find_measure("uniform_guess").value(scores)


def headline(scores: Scores) -> float | None:
    """Exact match where there are classification tasks, else ROUGE-L: what differences are taken of."""
    value = exact_match(scores)
    return generation_rouge(scores) if value is None else value


def build_rows(cells: Iterable[CellRecord], reference: str = "original") -> tuple[Row, ...]:
    """Gather cells into rows, untuned and reference settings first."""
    every = tuple(cells)
    scored = _scores_by_setting(every)
    unfinished = _unfinished(every)
    settings = sorted({*scored, *unfinished}, key=lambda setting: _order(setting, reference))
    return tuple(_row(setting, scored, unfinished, reference) for setting in settings)


def _setting(cell: CellRecord, test_instruction: str) -> Setting:
    return Setting(replace(cell.axes, seed=0), test_instruction)


def _scores_by_setting(cells: Sequence[CellRecord]) -> dict[Setting, dict[int, Scores]]:
    scored: dict[Setting, dict[int, Scores]] = {}
    for cell in cells:
        if cell.state == "done":
            for block in cell.blocks:
                scored.setdefault(_setting(cell, block.instruction), {})[cell.axes.seed] = block.scores
    return scored


def _unfinished(cells: Sequence[CellRecord]) -> dict[Setting, dict[str, int]]:
    counts: dict[Setting, dict[str, int]] = {}
    for cell in cells:
        if cell.state != "done":
            states = counts.setdefault(_setting(cell, cell.axes.instruction), {})
            states[cell.state] = states.get(cell.state, 0) + 1
    return counts


def _order(setting: Setting, reference: str) -> tuple[object, ...]:
    axes = setting.axes
    variant = 0 if axes.instruction == reference else 1
    budget = (axes.data_budget, axes.budget_tasks or 0)
    return (
        axes.tasks,
        axes.model,
        axes.method,
        axes.prompt,
        axes.decoding,
        budget,
        variant,
        axes.instruction,
        (setting.test_instruction),
    )


def _row(
    setting: Setting,
    scored: dict[Setting, dict[int, Scores]],
    unfinished: dict[Setting, dict[str, int]],
    reference: str,
) -> Row:
    own = scored.get(setting, {})
    beside = _reference(setting, scored, reference)
    untuned = _untuned(setting, scored)
    reference_scores = scored[beside] if beside else {}
    untuned_scores = scored[untuned] if untuned else {}
    return Row(
        setting,
        exact_match=_over_seeds(own, exact_match),
        rougeL=_over_seeds(own, generation_rouge),
        overall_rougeL=_over_seeds(own, overall_rouge),
        format_correctness=_over_seeds(own, format_correctness),
        uniform_guess=_over_seeds(own, uniform_guess),
        to_reference=_difference(own, {} if setting.axes.untuned else reference_scores),
        to_untuned=_difference(own, {} if setting.axes.untuned else untuned_scores, seedless=True),
        unfinished=tuple(sorted(unfinished.get(setting, {}).items())),
    )


def _over_seeds(scores: dict[int, Scores], measure: Measure) -> Mean | None:
    return _mean([measure(one) for one in scores.values()])


def _reference(setting: Setting, scored: Iterable[Setting], reference: str) -> Setting | None:
    """Find the same setting under the reference variant; tested alike, or else as it was trained."""
    axes = replace(setting.axes, instruction=reference)
    if setting.axes.instruction == reference:
        return None
    both = [other for other in scored if replace(other.axes, num_positive=axes.num_positive) == axes]
    alike = [other for other in both if other.test_instruction == setting.test_instruction]
    same = [other for other in both if other.test_instruction == reference]
    own_variant = setting.test_instruction == setting.axes.instruction
    return next(iter((same or alike) if own_variant else (alike or same)), None)


def _untuned(setting: Setting, scored: Iterable[Setting]) -> Setting | None:
    """Find the untuned model that a setting started from, tested alike where it was."""
    axes = setting.axes
    found = [
        other
        for other in scored
        if other.axes.untuned
        and (other.axes.tasks, other.axes.model) == (axes.tasks, axes.model)
        and (other.axes.prompt, other.axes.decoding) == (axes.prompt, axes.decoding)
    ]
    alike = [other for other in found if other.test_instruction == setting.test_instruction]
    return next(iter(alike or found), None)


def _mean(values: Sequence[float | None]) -> Mean | None:
    present = [value for value in values if value is not None]
    if not present:
        return None
    deviation = statistics.stdev(present) if len(present) > 1 else None
    return Mean(statistics.fmean(present), deviation, len(present))


def _difference(own: dict[int, Scores], other: dict[int, Scores], seedless: bool = False) -> Mean | None:
    """Mean of differences paired by seed; a seedless side (the untuned model) is paired with every seed."""
    alone = next(iter(other.values())) if seedless and other else None
    differences = []
    for seed, scores in own.items():
        opposite = other.get(seed, alone)
        ours, theirs = headline(scores), headline(opposite) if opposite else None
        if ours is not None and theirs is not None:
            differences.append(ours - theirs)
    return _mean(differences)
