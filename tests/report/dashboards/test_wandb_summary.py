"""The study's own W&B run: the report's tables, verdicts and figures, one run however often it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from instruct_ablate.errors import UserError
from instruct_ablate.report.dashboards import wandb_summary
from instruct_ablate.report.dashboards.wandb_summary import log_summary, mirrored, mirrored_logger, summary_id
from instruct_ablate.report.report import Report, write_report
from instruct_ablate.schema import Config, LoggerConfig
from tests.cell.mirror.runs import Run, opened_by
from tests.report.cells import make_cell, with_likelihoods
from tests.report.studies import write_study


@pytest.fixture
def report(tmp_path: Path) -> Report:
    cells = [make_cell(50.0), replace(make_cell(None), name="other", identity="b" * 64, state="missing")]
    write_study(tmp_path / "s", cells)
    config = replace(Config(), logger=LoggerConfig("wandb", project="mine", mode="offline", tags=["t"]))
    OmegaConf.save(OmegaConf.structured(config), tmp_path / "s" / cells[0].name / "config.yaml")
    return write_report(tmp_path / "s")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    return opened_by(wandb_summary, monkeypatch)


def test_it_holds_the_reports_tables_verdicts_and_figures(report: Report, opened: list[Run]) -> None:
    name = log_summary(report, mirrored_logger(report.study.folder))
    (run,) = opened
    given = run.given
    assert (given["id"], given["group"], given["job_type"], given["project"]) == (
        name,
        "s",
        "summary",
        "mine",
    )
    assert (given["name"], given["entity"], given["tags"]) == ("s: report", None, ["t"])
    assert given["config"] == {"study": "s", "reference": "original", "commands": []}
    assert given["dir"] == report.folder
    assert run.given["mode"] == "offline"
    assert run.summary == {"cells/done": 1, "cells/missing": 1}
    main = run.logged["main"]
    place = main.columns.index("exact match")
    assert [row[place] for row in main.data][:1] == [50.0], "numbers are numbers"
    assert "differences" in run.logged
    assert "verdicts" in run.logged
    assert any(key.startswith("figures/") for key in run.logged)
    assert run.exit_code == 0


def test_a_long_name_is_cut_as_that_of_its_cells_group_is(report: Report, opened: list[Run]) -> None:
    """Before: W&B refused the run of a study whose cells it had taken."""
    long = replace(report, study=replace(report.study, name=200 * "x"))
    log_summary(long, mirrored_logger(report.study.folder))
    assert opened[0].given["group"] == 128 * "x"
    assert opened[0].given["name"] == 120 * "x" + ": report"
    assert opened[0].given["config"]["study"] == 200 * "x"


def test_the_id_is_fixed_for_good() -> None:
    """Another one would leave the run of an earlier report beside that of a later one."""
    assert summary_id("mine", "s") == "e0f12e6450830201"


def test_the_id_is_the_studys(report: Report, opened: list[Run]) -> None:
    first, second = (log_summary(report, mirrored_logger(report.study.folder)) for _ in range(2))
    assert first == second == summary_id("mine", "s") != summary_id("mine", "other")


def test_a_later_report_takes_the_place_of_one_not_yet_uploaded(report: Report, opened: list[Run]) -> None:
    waiting, gone = (report.folder / "wandb" / f"offline-run-{number}" for number in (1, 2))
    for folder in (waiting, gone):
        folder.mkdir(parents=True)
        (folder / "run.wandb").touch()
    (gone / "run.wandb.synced").touch()
    log_summary(report, mirrored_logger(report.study.folder))
    assert not waiting.exists()
    assert gone.exists()


def test_a_study_that_is_not_mirrored_is_told(tmp_path: Path) -> None:
    write_study(tmp_path / "s", [make_cell(50.0)])
    assert mirrored(tmp_path / "s") is None
    with pytest.raises(UserError, match="logger=wandb"):
        mirrored_logger(tmp_path / "s")


def test_likelihoods_of_references_are_a_column_of_it(tmp_path: Path, opened: list[Run]) -> None:
    cells = [with_likelihoods(make_cell(50.0), -1.5)]
    write_study(tmp_path / "s", cells)
    config = replace(Config(), logger=LoggerConfig("wandb", project="mine", mode="offline"))
    OmegaConf.save(OmegaConf.structured(config), tmp_path / "s" / cells[0].name / "config.yaml")
    log_summary(write_report(tmp_path / "s"), mirrored_logger(tmp_path / "s"))
    main = opened[0].logged["main"]
    place = next(at for at, name in enumerate(main.columns) if name.startswith("ref. log-lik. per token"))
    assert main.data[0][place] == -1.5
