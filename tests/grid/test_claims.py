"""Hypotheses that a grid leaves without data are told before its first cell starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.grid.claims import unscored, without_data
from instruct_ablate.grid.planned_cell import Cell, study_folder
from instruct_ablate.schema import BudgetConfig, InstructionConfig
from tests.standins import make_config, replace_inputs, work

CLAIM = "simplified equals original on rougeL within 2"
UNSCORED = "simplified equals original on reference_log_likelihood_per_byte within 2"


class Sides:
    """Knows the sides of no claim on what is called delusive; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, tuple[str, ...]]] = []
        self.references: list[str] = []

    def lacking(
        self, folder: Path, planned: Sequence[Identity], texts: Sequence[str], reference: str
    ) -> list[str]:
        self.asked.append((folder.name, len(planned), tuple(texts)))
        self.references.append(reference)
        return [f"{text!r}: no side." for text in texts if text.startswith("delusive")]


def grid(folder: Path, *hypotheses: str, study: str = "s", budget: int = 4, **changes: Any) -> list[Cell]:
    given = {"hypotheses": list(hypotheses), "study": study, "data_budget": BudgetConfig(budget), **changes}
    base = make_config(folder, **given)
    configs = [replace(base, instruction=InstructionConfig(one)) for one in ("original", "simplified")]
    return [Cell((), config, identify(config)) for config in configs]


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def test_each_study_of_a_sweep_is_asked_for_its_own(tmp_path: Path) -> None:
    sides, other = Sides(), CLAIM.replace("simplified", "delusive")
    cells = [*grid(tmp_path, CLAIM), *grid(tmp_path, CLAIM, other, study="t", reference="simplified")]
    assert list(without_data(cells, lambda: sides)) == [
        f'hypothesis {other!r}: no side. It will end as "no data" unless further cells are asked for.'
    ]
    assert sides.asked == [("s", 2, (CLAIM,)), ("t", 2, (CLAIM, other))]
    assert sides.references == ["original", "simplified"]


def test_a_metric_that_no_trained_cell_has_is_told(tmp_path: Path) -> None:
    (line,) = without_data(grid(tmp_path, CLAIM, UNSCORED), Sides)
    assert line.startswith(f"hypothesis {UNSCORED!r}: no trained cell of the grid is scored by reference_log")
    assert list(unscored(grid(tmp_path, budget=0), [UNSCORED])) == []
    later = f"{CLAIM}; is lower than original on reference_log_likelihood_per_byte by 1"
    assert len(list(unscored(grid(tmp_path), [later]))) == 1, "each of its clauses counts"


def test_a_metric_that_cells_of_before_have_is_no_loss(tmp_path: Path) -> None:
    """Before: a study's later grid was told that such a hypothesis would have no data, though it had some."""
    early, *_ = grid(tmp_path, CLAIM, UNSCORED)
    record = run_cell(early.config, work)
    assert len(list(without_data(grid(tmp_path, CLAIM, UNSCORED), Sides))) == 1
    (block,) = record.blocks

    overall = replace(block.scores.overall, values=(("reference_log_likelihood_per_byte", -1.0),))
    scored = replace(record, blocks=(replace(block, scores=replace(block.scores, overall=overall)),))
    untuned = replace(scored, setting=record.setting.changed(data_budget=0))
    folder = study_folder(early.config) / record.name
    for before, lines in ((untuned, 1), (scored, 0)):
        write_record(folder, before)
        assert read_record(folder) == before
        assert len(list(without_data(grid(tmp_path, CLAIM, UNSCORED), Sides))) == lines


def test_every_cell_s_claims_are_asked_for(tmp_path: Path) -> None:
    """One is of the cells that come last alone."""
    other = CLAIM.replace("simplified", "delusive")
    first, second = grid(tmp_path, CLAIM)
    second = replace(second, config=replace(second.config, hypotheses=[CLAIM, other]))
    (line,) = without_data([first, second], Sides)
    assert line.startswith(f"hypothesis {other!r}: no side.")


def test_of_one_cell_nothing_is_said(tmp_path: Path) -> None:
    sides = Sides()
    assert list(without_data(grid(tmp_path, UNSCORED)[:1], lambda: sides)) == []
    assert sides.asked == []


def test_without_hypotheses_nothing_is_loaded_to_answer_them(tmp_path: Path) -> None:
    def made() -> Sides:
        raise AssertionError("nobody asked")

    assert list(without_data(grid(tmp_path), made)) == []
