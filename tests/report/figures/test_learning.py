"""Learning curves of a study: one a variant and budget."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.grid.study import read_study
from instruct_ablate.report.figures.learning import MOST, count_curves, learning_curves
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study


def test_one_curve_a_variant_and_budget(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    curves = list(learning_curves(study.folder, [c for c in study.cells if not c.setting.untuned]))
    assert [curve.name for curve in curves] == [
        "original, budget 2",
        "simplified, budget 2",
        "original, budget 8",
        "simplified, budget 8",
    ]
    assert (curves[0].steps, curves[0].losses) == ((1, 2), (2.0, 1.5))


def test_names_say_what_differs_among_trained_settings(tmp_path: Path):
    cells = [make_cell(5.0, data_budget=0, prompt="alpaca"), make_cell(50.0), make_cell(50.0, method="lora")]
    study = write_study(tmp_path / "s", cells)
    (study / cells[0].name / "training.jsonl").unlink()
    assert [curve.name for curve in learning_curves(study, cells)] == [
        "original, budget 8, full",
        "original, budget 8, lora",
    ]
    assert count_curves(study, cells) == 2


def test_a_setting_has_one_curve_and_a_figure_so_many(tmp_path: Path):
    cells = [make_cell(50.0, seed=seed, data_budget=n + 1) for n in range(MOST + 1) for seed in (0, 1)]
    study = write_study(tmp_path / "s", cells)
    curves = list(learning_curves(study, cells))
    assert [curve.setting.budget for curve in curves] == list(range(1, MOST + 1))
    assert count_curves(study, cells) == MOST + 1


def test_a_curve_without_a_loss_is_none(tmp_path: Path):
    cell = make_cell(50.0)
    study = write_study(tmp_path / "s", [cell])
    (study / cell.name / "training.jsonl").write_text('{"step": 1}\n{"step": 2, "loss": 3.0}\n')
    assert [(curve.steps, curve.losses) for curve in learning_curves(study, [cell])] == [((2,), (3.0,))]
    (study / cell.name / "training.jsonl").write_text('{"step": 1}\n')
    assert list(learning_curves(study, [cell])) == []
