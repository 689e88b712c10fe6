"""Figures: those a study has numbers for are drawn, and drawn alike each time."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.grid.study import read_study
from instruct_ablate.report.differences import differences
from instruct_ablate.report.figures import draw_figures, levels
from instruct_ablate.report.rows import build_rows
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study


def draw(folder: Path, target: Path) -> dict[str, bytes]:
    study = read_study(folder)
    rows, found = build_rows(study.cells), differences(study.cells, "original")
    return {path.stem: path.read_bytes() for path in draw_figures(target, rows, found, study)}


def test_what_there_are_numbers_for_is_drawn_as_svg_and_pdf(tmp_path: Path):
    drawn = draw(small_study(tmp_path / "s"), tmp_path / "figures")
    assert set(drawn) == {"exact_match", "rougeL", "format", "categories", "tasks", "learning"}
    assert all((tmp_path / "figures" / f"{name}.pdf").stat().st_size > 1000 for name in drawn)
    assert b"<svg" in drawn["exact_match"]


def test_train_by_test_needs_models_tested_in_two_ways(tmp_path: Path):
    cells = [make_cell(60.0), make_cell(58.0, tested="original", instruction="delusive")]
    both = [cells[0], make_cell(50.0, tested="delusive", seed=1), cells[1]]
    assert "train_test" in draw(write_study(tmp_path / "s", both), tmp_path / "f")


def test_the_same_study_gives_the_same_bytes(tmp_path: Path):
    folder = small_study(tmp_path / "s")
    assert draw(folder, tmp_path / "a") == draw(folder, tmp_path / "b")


def test_an_empty_study_draws_nothing(tmp_path: Path):
    assert draw(write_study(tmp_path / "s", [make_cell(None)]), tmp_path / "f") == {}


def test_levels_name_the_untuned_model_and_the_guess_once():
    cells = [
        make_cell(5.0, data_budget=0),
        make_cell(50.0, data_budget=0, model="uniform_guess"),
        make_cell(3.0, data_budget=0, model="copy_input"),
        make_cell(60.0),
    ]
    drawn = list(levels(build_rows(cells), "exact_match"))
    assert sorted(drawn) == [("copy input", 3.0), ("uniform guess", 50.0), ("untuned", 5.0)]
    two = [*cells, make_cell(7.0, data_budget=0, model="larger")]
    assert {name for name, _ in levels(build_rows(two), "rougeL")} == {
        "tiny, untuned", "larger, untuned", "copy input", "uniform guess",
    }  # fmt: skip
