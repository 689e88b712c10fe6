"""Comparing two studies: what the same settings scored in one and in the other."""

from __future__ import annotations

import math
from pathlib import Path

from instruct_ablate.grid.study import read_study
from instruct_ablate.report.contrasts import Trial, scored_trials
from instruct_ablate.report.differences import METRICS, probability
from instruct_ablate.report.paired import pair
from instruct_ablate.report.provenance import made_with
from instruct_ablate.report.statistics import Comparison, compare
from instruct_ablate.report.tables import Table


def compare_studies(first: Path, second: Path) -> tuple[Table, tuple[str, ...]]:
    """Return a table of second less first for every setting both have, and lines on what differs around them."""
    one, other = read_study(first), read_study(second)
    scores, others = scored_trials(one.cells), scored_trials(other.cells)
    lines = []
    for trial in sorted(scores.keys() & others.keys(), key=str):
        for metric in METRICS:
            pairing = pair(others[trial], scores[trial], metric)
            if pairing is not None:
                lines.append((*_place(trial), metric, *_numbers(compare(pairing.differences))))
    headings = (
        "model",
        "budget",
        "trained on",
        "tested on",
        "metric",
        "difference",
        "95 % interval",
        "p",
        "tasks",
    )
    told = (
        f"{first}: {made_with(one.cells)}",
        f"{second}: {made_with(other.cells)}",
        *_alone(first, scores.keys() - others.keys()),
        *_alone(second, others.keys() - scores.keys()),
    )
    return Table(f"{second} less {first}", headings, tuple(lines), 5), told


def _place(trial: Trial) -> tuple[str, ...]:
    trained = "(untuned)" if trial.axes.untuned else trial.axes.instruction
    return trial.axes.model, str(trial.axes.data_budget), trained, trial.tested


def _numbers(comparison: Comparison) -> tuple[str, ...]:
    low, high = comparison.interval95
    interval = "-" if math.isnan(low) else f"[{low:+.2f}, {high:+.2f}]"
    return f"{comparison.mean:+.2f}", interval, probability(comparison.p_difference), str(comparison.units)


def _alone(study: Path, trials: set[Trial]) -> tuple[str, ...]:
    return tuple(f"only in {study}: {', '.join(_place(trial))}" for trial in sorted(trials, key=str))
