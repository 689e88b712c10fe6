"""Learning curves of a study: one a variant and budget."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.grid.study import read_study
from instruct_ablate.report.learning import learning_curves
from tests.report.studies import small_study


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
