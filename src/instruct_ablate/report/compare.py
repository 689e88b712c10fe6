"""Comparing two studies: what the same settings scored in one and in the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.contrasts import Trial, order, scored_trials
from instruct_ablate.report.differences import METRICS, probability
from instruct_ablate.report.provenance import made_with
from instruct_ablate.report.rows import budget_text, trained_on
from instruct_ablate.report.statistics.comparison import Comparison, compare
from instruct_ablate.report.statistics.paired import pair
from instruct_ablate.report.tables import Table


def compare_studies(first: Path, second: Path) -> tuple[Table, tuple[str, ...]]:
    """Return a table of second less first for every setting both have, and lines on what differs around them."""
    one, other = read_study(first), read_study(second)
    scores, others = scored_trials(one.cells), scored_trials(other.cells)
    lines = []
    for trial in sorted(scores.keys() & others.keys(), key=order):
        for metric in METRICS:
            pairing = pair(others[trial], scores[trial], metric)
            if pairing is not None:
                found = compare(pairing.differences)
                same = "yes" if not pairing.differences.any() else "no"
                lines.append((*_place(trial), metric, *_numbers(found), str(found.seeds), same))
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
        "seeds",
        "same",
    )
    told = (
        f"{first}: {made_with(one.cells)}",
        f"{second}: {made_with(other.cells)}",
        *_apart(one.cells, other.cells),
        *_alone(first, scores.keys() - others.keys()),
        *_alone(second, others.keys() - scores.keys()),
    )
    return Table(f"{second} less {first}", headings, tuple(lines), 5), told


def _apart(cells: Sequence[CellRecord], others: Sequence[CellRecord]) -> Iterator[str]:
    """Tell what was not the same when both were made, and settings with cells that are not done in one of them."""
    for name, of in _ORIGINS.items():
        one, other = ({of(cell) for cell in side if cell.state == "done"} for side in (cells, others))
        if one and other and one != other:
            yield f"not the same {name}: {', '.join(sorted(one))} against {', '.join(sorted(other))}"
    states = {cell.name: cell.state for cell in cells}
    for cell in others:
        before = states.get(cell.name, cell.state)
        if before != cell.state:
            yield f"{cell.name}: {before} in the first, {cell.state} in the second"


def _made(cell: CellRecord, name: str) -> str:
    return str(getattr(cell.environment, name) or "unknown") if cell.environment else "unknown"


def _versions(cell: CellRecord) -> str:
    return " ".join("-".join(pair) for pair in cell.environment.versions) if cell.environment else "unknown"


_ORIGINS: dict[str, Callable[[CellRecord], str]] = {
    "data hash": lambda cell: cell.data_hash or "unknown",
    "commit": lambda cell: _made(cell, "commit"),
    "package versions": _versions,
    "device": lambda cell: _made(cell, "device"),
    "precision": lambda cell: _made(cell, "precision"),
}


def _place(trial: Trial) -> tuple[str, ...]:
    return trial.axes.model, budget_text(trial.axes), trained_on(trial.axes), trial.tested


def _numbers(comparison: Comparison) -> tuple[str, ...]:
    low, high = comparison.interval95
    interval = "-" if math.isnan(low) else f"[{low:+.2f}, {high:+.2f}]"
    return f"{comparison.mean:+.2f}", interval, probability(comparison.p_difference), str(comparison.units)


def _alone(study: Path, trials: set[Trial]) -> tuple[str, ...]:
    return tuple(f"only in {study}: {', '.join(_place(trial))}" for trial in sorted(trials, key=order))
