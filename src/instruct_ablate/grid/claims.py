"""Hypotheses that a grid leaves without data: told before its first cell starts, not when all are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from instruct_ablate.cell.run.evaluation import selected
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.grid.planned_cell import Cell, study_folder
from instruct_ablate.grid.study import read_study
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.metrics import find_measure
from instruct_ablate.metrics.registry import KEY


class Sides(Protocol):
    """Knows which cells a hypothesis compares; it stands above the grid."""

    def lacking(
        self, folder: Path, planned: Sequence[Identity], hypotheses: Sequence[str], reference: str
    ) -> list[str]:
        """Say why hypotheses have no cells to compare, among those planned and those that the study has."""


def by_study(cells: Sequence[Cell]) -> dict[Path, list[Cell]]:
    """Group cells by their study's folder."""
    grouped: dict[Path, list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(study_folder(cell.config), []).append(cell)
    return grouped


def without_data(cells: Sequence[Cell], make_sides: Callable[[], Sides]) -> Iterator[str]:
    """Say which hypotheses will have no data when all of a grid is done, though it has more than one cell.

    `make_sides` is called where there are hypotheses alone: what knows the sides has statistics to load.
    """
    for folder, own in by_study(cells).items() if len(cells) > 1 else ():
        texts = list(dict.fromkeys(text for cell in own for text in cell.config.hypotheses))
        if not texts:
            continue
        planned = [cell.identity for cell in own]
        found = make_sides().lacking(folder, planned, texts, own[0].config.reference)
        bare = list(unscored(own, texts))
        if bare and folder.is_dir():  # where cells of before may have what these have not
            bare = list(unscored(own, texts, _scored_before(folder)))
        for why in (*found, *bare):
            yield f'hypothesis {why} It will end as "no data" unless further cells are asked for.'


def _scored_before(folder: Path) -> frozenset[str]:
    """Name the metrics that trained cells of a study have scores by."""
    trained = (cell for cell in read_study(folder).cells if not cell.setting.untuned)
    overall = (block.scores.overall for cell in trained for block in cell.blocks)
    return frozenset(name for score in overall for name, _ in score.values)


def unscored(
    cells: Sequence[Cell], hypotheses: Sequence[str], before: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Say which hypotheses are on a metric that no trained cell of a grid is scored by, and none was before."""
    trained = {selected(cell.config) for cell in cells if not cell.identity.setting.untuned}
    scored = {metric.name for selection in trained for metric in selection.load()}
    for text in hypotheses:
        for clause in parse_hypothesis(text).clauses:
            if scored and (name := find_measure(clause.metric).metric.name) not in scored | before:
                yield (
                    f"{text!r}: no trained cell of the grid is scored by {name}, only by "
                    f"{', '.join(sorted(scored))}. Add it to {KEY} or state the hypothesis on one of these."
                )
                break
