"""Tables on a terminal of 80 columns, over studies whose names are long: every line fits, and no word is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.state.record.record import Failure
from instruct_ablate.command_line import group
from instruct_ablate.grid.planning.plan import plan_table
from instruct_ablate.terminal import make_console
from tests.grid.planning.test_plan import one_cell
from tests.report.cells import make_cell
from tests.report.studies import write_study
from tests.standins import replace_inputs

LONG = "a_model_of_a_very_long_name_indeed_fine_tuned_on_everything_there_is-v2.1"
NARROW = {"COLUMNS": "80"}


def long_cells() -> list[object]:
    return [
        make_cell(value, model=LONG, instruction=name, seed=seed)
        for name, value in (("original", 50.0), ("no_additional_details", 45.0))
        for seed in (0, 1)
    ]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    failed = replace(
        make_cell(None, model=LONG, seed=7), state="failed", failure=Failure("it broke " * 30, "", 1)
    )
    return write_study(tmp_path / f"study_{LONG}", [*long_cells(), failed])


def said(*words: object) -> list[str]:
    done = CliRunner().invoke(group, [str(word) for word in words], env=NARROW)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_status_fits(study: Path) -> None:
    lines = said("status", study)
    assert max(map(len, lines)) <= 80
    assert "failed" in "".join(lines)


def test_a_comparison_is_folded_where_it_does_not_fit(study: Path, tmp_path: Path) -> None:
    other = write_study(tmp_path / "other", long_cells())
    lines = said("compare", study, other)
    table = [line for line in lines if line.startswith(" ")]
    assert len(table) > 4
    assert max(map(len, table)) <= 80
    assert any("+0.00" in line for line in lines)
    wide = CliRunner().invoke(group, ["compare", str(study), str(other)], env={"COLUMNS": "1000"})
    assert f"| {LONG}" in wide.output or "| original" in wide.output, (
        "Markdown, where there is room or no terminal"
    )


def test_a_plan_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    replace_inputs(monkeypatch)
    cells = [one_cell(tmp_path), one_cell(tmp_path, fits=False)]
    cells = [
        replace(one, cell=replace(one.cell, identity=replace(one.cell.identity, name=LONG))) for one in cells
    ]
    make_console().print(plan_table(cells))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
