"""The data frames hold the numbers of the report's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.cell.state.record.record import Failure
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.report.as_json import comparison_fields
from instruct_ablate.report.compare import compare_studies
from instruct_ablate.report.frames import StudyFrames
from instruct_ablate.report.report import write_report
from instruct_ablate.report.tables.general import general_table
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study


def test_scores_are_the_tidy_table(tmp_path: Path) -> None:
    folder = small_study(tmp_path / "s")
    written = pd.read_parquet(write_report(folder).folder / "tidy.parquet")
    frame = StudyFrames(folder).scores()
    assert list(frame.columns) == list(written.columns)
    for one, other in zip(frame.to_dict("records"), written.to_dict("records"), strict=True):
        assert all(one[key] == other[key] or (pd.isna(one[key]) and pd.isna(other[key])) for key in other)


def test_differences_are_those_of_the_report(tmp_path: Path) -> None:
    folder = small_study(tmp_path / "s")
    report, frame = write_report(folder), StudyFrames(folder).differences()
    table = pd.read_csv(report.folder / "differences.csv")
    assert len(frame) == len(table) == len(report.differences) > 0
    assert [f"{value:+.2f}" for value in frame["difference"]] == [
        f"{value:+.2f}" for value in table["difference"]
    ]
    assert list(frame["metric"]) == list(table["metric"])
    held = pd.Series([one.p_difference for one in report.differences], name="p_difference")
    pd.testing.assert_series_equal(frame["p_difference"], held)


def test_two_data_sets_of_one_name_are_told_apart_beside_the_number_of_tasks(tmp_path: Path) -> None:
    """In the frame, the file for machines, `compare --json` and the table of general ability."""
    cells = [
        replace(
            make_cell(40.0, instruction=variant, seed=seed, revisions={"tasks": 64 * data}),
            name=f"{variant}-{seed}-{data}",
            identity=f"{variant}-{seed}-{data}",
        )
        for data in "ab"
        for variant in ("original", "simplified")
        for seed in (0, 1)
    ]
    folder, other = write_study(tmp_path / "s", cells), write_study(tmp_path / "t", cells)
    frame = StudyFrames(folder).differences()
    assert set(frame["tasks"]) == {1, 2}, "counted, as ever"
    assert set(frame["tasks (collection)"]) == {"starter"}
    assert set(frame["tasks@"]) == {"a" * 64, "b" * 64}
    own = ["starter@aaaa", "starter@bbbb"]
    table = pd.read_csv(write_report(folder).folder / "differences.csv")
    assert sorted(set(table["tasks (collection)"])) == own
    assert set(table["tasks"]) == {1, 2}
    lines = comparison_fields(*compare_studies(folder, other))["lines"]
    assert sorted({line["tasks (collection)"] for line in lines}) == own
    assert {line["tasks"] for line in lines} == {"1", "2"}
    general = general_table((), Legend(cell.setting for cell in cells)).headings
    assert len(set(general)) == len(general)
    assert "tasks (collection)" in general


def test_cells_verdicts_and_predictions_are_those_on_disk(tmp_path: Path) -> None:
    folder = small_study(tmp_path / "s")
    report, frames = write_report(folder), StudyFrames(folder)
    assert list(frames.cells["state"]) == [cell.state for cell in report.study.cells]
    assert list(frames.cells["cell"]) == [cell.name for cell in report.study.cells]
    assert list(frames.verdicts()["answer"]) == [verdict.answer for verdict in report.verdicts]
    count = sum(
        len(read_predictions(folder / cell.name / block.predictions))
        for cell in report.study.cells
        if cell.state == "done"
        for block in cell.blocks
    )
    predictions = frames.predictions()
    assert len(predictions) == count > 0
    assert {"task", "prompt", "prediction", "exact_match"} <= set(predictions.columns)


def test_loading_writes_nothing_and_an_unfinished_study_has_empty_frames(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", [make_cell(None)])
    before = sorted(folder.rglob("*"))
    frames = StudyFrames(folder)
    assert len(frames.cells) == 1
    for frame in (frames.scores(), frames.predictions(), frames.differences(), frames.verdicts()):
        assert len(frame) == 0
        assert len(frame.columns) > 0
    assert sorted(folder.rglob("*")) == before


def test_every_frame_has_its_columns_with_and_without_rows(tmp_path: Path) -> None:
    empty = StudyFrames(write_study(tmp_path / "e", [make_cell(None)]))
    full = StudyFrames(small_study(tmp_path / "s"))
    scored = ["cell", "identity", "tested_on", "task", "instances"]
    answered = [
        "cell", "tested_on", "template", "task", "category", "kind", "instance_id", "prompt", "prediction",
        "references", "truncated", "cut",
    ]  # fmt: skip
    tested = ["difference", "low", "high", "p_difference", "p_equivalence", "seeds", "tasks"]
    judged = ["hypothesis", "answer", "details"]
    assert list(empty.scores().columns) == scored
    assert set(scored) <= set(full.scores().columns)
    assert list(empty.predictions().columns) == answered
    assert list(full.predictions().columns)[: len(answered)] == answered
    assert list(empty.differences().columns) == ["metric", *tested]
    assert {"tested_on", "metric"} <= set(full.differences().columns)
    assert set(tested) <= set(full.differences().columns)
    assert list(empty.verdicts().columns) == list(full.verdicts().columns) == judged
    assert {"cell", "identity", "state", "seed", "failure"} <= set(full.cells.columns)


def test_rows_hold_what_their_headings_say(tmp_path: Path) -> None:
    frames = StudyFrames(small_study(tmp_path / "s"))
    row = frames.predictions().iloc[0].to_dict()
    assert (row["tested_on"], row["task"], row["category"]) == ("original", "task_c", "Logic")
    assert (row["kind"], row["instance_id"], row["references"]) == ("classification", "i0", ["positive"])
    assert not row["truncated"]
    every = frames.differences()
    first = every[(every["metric"] == "rougeL") & (every["instruction"] == "simplified")].iloc[0].to_dict()
    assert first["low"] <= first["difference"] <= first["high"]
    assert (first["seeds"], first["tasks"], first["tested_on"]) == (2, 2, "simplified")
    verdict = frames.verdicts().iloc[0].to_dict()
    assert verdict["hypothesis"] == "simplified equals original on exact_match within 5 points"


def test_only_a_cell_that_is_not_done_says_why_it_failed(tmp_path: Path) -> None:
    failed = replace(make_cell(None), state="failed", failure=Failure("it broke", ""))
    done = replace(make_cell(50.0, seed=1), failure=Failure("an earlier try", ""))
    frames = StudyFrames(write_study(tmp_path / "s", [failed, done]))
    assert dict(zip(frames.cells["state"], frames.cells["failure"], strict=True)) == {
        "failed": "it broke",
        "done": "",
    }
    assert set(frames.predictions()["cell"]) == {done.name}
