"""Two studies compared: the same, another score, a missing cell, other data or code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.state.record.record import CellRecord, Environment
from instruct_ablate.commands.compare import command
from instruct_ablate.errors import UserError
from instruct_ablate.report.compare import compare_studies
from instruct_ablate.report.rows.computed import ASPECTS, apart_lines
from tests.report.cells import make_cell, with_likelihoods
from tests.report.rows.test_seed_means import scored, with_scores
from tests.report.studies import write_study

MADE = Environment("node7", "train.py", "abc", "3.11", (("torch", "2.13"),), "cpu", "fp32")


def cell(exact: float | None, **changes: object) -> CellRecord:
    return replace(make_cell(exact, **changes), environment=MADE, data_hash="d1")  # type: ignore[arg-type]


CELLS = [cell(50.0), cell(40.0, seed=1), cell(45.0, instruction="simplified")]


def told(folder: Path, others: list[CellRecord]) -> tuple[list[dict[str, str]], tuple[str, ...]]:
    one, other = write_study(folder / "a", CELLS), write_study(folder / "b", others)
    table, lines = compare_studies(one, other)
    return [dict(zip(table.headings, line, strict=True)) for line in table.lines], lines


def test_a_study_is_the_same_as_its_copy(tmp_path: Path):
    rows, lines = told(tmp_path, CELLS)
    assert len(rows) == 2 * 3
    assert {(row["difference"], row["same"]) for row in rows} == {("+0.00", "yes")}
    assert len(lines) == 3, "what each was made with, nothing apart, and what the numbers are"
    assert "not corrected for the number of lines" in lines[-1]


def test_one_seed_is_said_to_be_one_and_tests_nothing(tmp_path: Path):
    """Before: an interval that leaves other seeds out, and its p-value, stood there like any other."""
    untuned = cell(30.0, data_budget=0, tested="original")
    one, other = (
        write_study(tmp_path / "a", [*CELLS, untuned]),
        write_study(tmp_path / "b", [*CELLS, untuned]),
    )
    table, _ = compare_studies(one, other)
    rows = [dict(zip(table.headings, line, strict=True)) for line in table.lines]
    rows = [row for row in rows if row["metric"] == "rougeL"]  # of two tasks
    told = {row["trained on"]: ("(this seed)" in row["95 % interval"], row["p"] == "-") for row in rows}
    assert told == {
        "(untuned)": (False, False),  # it has no seeds to leave out
        "original": (False, False),
        "simplified": (True, True),
    }


def test_cells_that_are_one_setting_and_seed_are_named(tmp_path: Path):
    again = replace(CELLS[2], name="copy", identity="f" * 64)
    rows, lines = told(tmp_path, [*CELLS, again])
    assert {row["trained on"] for row in rows} == {"original"}
    assert any("twice with one setting and seed: copy, tiny-simplified-8-0" in line for line in lines)


def test_another_score_is_seen_where_it_is(tmp_path: Path):
    rows, _ = told(tmp_path, [CELLS[0], cell(44.0, seed=1), CELLS[2]])
    (row,) = (row for row in rows if row["trained on"] == "original" and row["metric"] == "exact_match")
    assert (row["difference"], row["seeds"], row["tasks"], row["same"]) == ("+2.00", "2", "1", "no")
    assert {row["same"] for row in rows if row["trained on"] == "simplified"} == {"yes"}


def test_changes_that_cancel_out_are_not_the_same(tmp_path: Path):
    rows, _ = told(tmp_path, [cell(52.0), cell(38.0, seed=1), CELLS[2]])
    (row,) = (row for row in rows if row["trained on"] == "original" and row["metric"] == "exact_match")
    assert (row["difference"], row["same"]) == ("+0.00", "no")


def test_a_missing_seed_leaves_the_shared_ones(tmp_path: Path):
    rows, lines = told(tmp_path, [CELLS[0], cell(None, seed=1), CELLS[2]])
    assert {row["seeds"] for row in rows} == {"1"}
    assert "tiny-original-8-1: done in the first, missing in the second" in lines


def test_settings_without_a_seed_in_common_are_said_to_be_such(tmp_path: Path):
    """Before: they were said to have no task in common."""
    rows, lines = told(tmp_path, [cell(50.0, seed=7), CELLS[2]])
    assert {row["trained on"] for row in rows} == {"simplified"}
    (line,) = (line for line in lines if line.startswith("not compared"))
    assert line == (
        "not compared, for the two have no seed in common: tiny, budget 8, original, tested on original"
    )


def test_a_setting_that_only_one_has_is_named(tmp_path: Path):
    _, lines = told(tmp_path, CELLS[:2])
    assert any(line.startswith("only in") and "simplified" in line for line in lines)


def test_other_data_and_other_code_are_named(tmp_path: Path):
    later = replace(MADE, commit="def+changes", versions=(("torch", "2.14"),))
    _, lines = told(tmp_path, [replace(each, data_hash="d2", environment=later) for each in CELLS])
    assert "not the same data hash: d1 against d2" in lines
    assert "not the same commit: abc against def+changes" in lines
    assert "not the same package versions: torch-2.13 against torch-2.14" in lines


def test_parts_of_the_same_data_are_named(tmp_path: Path):
    """Imports of some of the instances: the record's hash of the data is the whole's on both sides."""
    parts = [[replace(cell(40.0, revisions={"tasks": part}), data_hash="whole")] for part in ("p1", "p2")]
    write_study(tmp_path / "one", parts[0])
    write_study(tmp_path / "other", parts[1])
    _, lines = compare_studies(tmp_path / "one", tmp_path / "other")
    assert "not the same data hash: p1 against p2" in lines


def test_command_prints_it_and_refuses_what_is_no_study(tmp_path: Path):
    one, other = write_study(tmp_path / "a", CELLS), write_study(tmp_path / "b", [cell(50.0, model="other")])
    done = CliRunner().invoke(command, [str(one), str(one)], env={"COLUMNS": None})
    assert done.exit_code == 0
    assert "| yes |" in done.output
    assert "no setting in common" in CliRunner().invoke(command, [str(one), str(other)]).output
    with pytest.raises(UserError, match="no study"):
        compare_studies(one, tmp_path / "c")


def test_every_origin_that_differs_is_named(tmp_path: Path):
    later = replace(MADE, device="cuda", precision="bf16")
    revised = [
        replace(
            each,
            environment=later,
            setting=replace(each.setting, revisions=(("extensions", "e2"), ("model", "m2"))),
        )
        for each in CELLS
    ]
    first = [
        replace(each, setting=replace(each.setting, revisions=(("extensions", "e1"), ("model", "m1"))))
        for each in CELLS
    ]
    one, other = write_study(tmp_path / "a", first), write_study(tmp_path / "b", revised)
    _, lines = compare_studies(one, other)
    for line in ("checkpoint: m1 against m2", "extensions: e1 against e2", "device: cpu against cuda",
                 "precision: fp32 against bf16"):  # fmt: skip
        assert f"not the same {line}" in lines


ASPECT = {
    "precision": {"precision": "bf16"},
    "device": {"device": "cuda:0"},
    "processor": {"processor": "other"},
    "threads": {"threads": 7},
    "last answers of a test's batches": {"tails": 8},
    "package versions": {"versions": (("torch", "9"),)},
}


@pytest.mark.parametrize("aspect", ASPECTS)
def test_what_a_page_holds_apart_compare_holds_apart_too(aspect: str, tmp_path: Path) -> None:
    known = replace(MADE, processor="one", threads=2)
    other: Any = replace(known, **ASPECT[aspect])  # type: ignore[arg-type]
    sides = [[replace(each, environment=made) for each in CELLS] for made in (known, other)]
    _, lines = compare_studies(*(write_study(tmp_path / str(at), cells) for at, cells in enumerate(sides)))
    (line,) = (line for line in lines if line.startswith("not the same"))
    assert line.startswith(f"not the same {aspect}: ")
    assert any(line.startswith(f"{aspect}: ") for line in apart_lines([sides[0][0], *sides[1][1:]]))


def test_which_of_equal_gpus_is_no_difference_and_another_version_of_ours_is(tmp_path: Path) -> None:
    for place, device, version in (("a", "cuda:0", "1"), ("b", "cuda:1", "2")):
        made = replace(MADE, device=device, versions=(("instruct-ablate", version), ("torch", "2")))
        write_study(tmp_path / place, [replace(each, environment=made) for each in CELLS])
    _, lines = compare_studies(tmp_path / "a", tmp_path / "b")
    assert [line for line in lines if line.startswith("not the same")] == [
        "not the same version of instruct-ablate: 1 against 2"
    ]


def test_a_hyper_parameter_of_one_value_each_is_compared_in_spite_of_it(tmp_path: Path):
    rows, lines = told(
        tmp_path,
        [cell(53.0, lr=0.5), cell(43.0, seed=1, lr=0.5), cell(48.0, instruction="simplified", lr=0.5)],
    )
    exact = [row for row in rows if row["metric"] == "exact_match"]
    assert [(row["difference"], row["same"]) for row in exact] == [("+3.00", "no")] * 2
    assert any(line.startswith("not the same trainer.learning_rate: ") for line in lines)
    assert not any(line.startswith("only in") for line in lines)


def test_of_several_values_only_equal_ones_meet(tmp_path: Path):
    one = write_study(tmp_path / "a", [cell(50.0, lr=0.1), cell(51.0, lr=0.2)])
    other = write_study(tmp_path / "b", [cell(60.0, lr=0.2), cell(61.0, lr=0.3)])
    table, lines = compare_studies(one, other)
    exact = [line for line in table.lines if "exact_match" in line]
    assert [line[line.index("exact_match") + 1] for line in exact] == ["+9.00"]
    assert len([line for line in lines if line.startswith("only in")]) == 2


def test_the_table_says_which_is_taken_from_which(tmp_path: Path):
    one, other = write_study(tmp_path / "a", CELLS), write_study(tmp_path / "b", CELLS)
    table, _ = compare_studies(one, other)
    assert table.title == f"{other} less {one}"
    assert table.headings[table.labels - 2 : table.labels + 1] == ("tested on", "metric", "difference")
    assert table.headings[-5:] == ("95 % interval", "p", "tasks", "seeds", "same")
    (line,) = [line for line in table.lines if line[2] == "simplified" and "rougeL" in line]
    assert line[-2:] == ("1", "yes")


def test_likelihoods_of_references_are_compared_in_nats(tmp_path: Path):
    one, other = (
        write_study(tmp_path / name, [with_likelihoods(cell, value) for cell in CELLS])
        for name, value in (("a", -2.0), ("b", -1.25))
    )
    table, _ = compare_studies(one, other)
    rows = [dict(zip(table.headings, line, strict=True)) for line in table.lines]
    moved = {row["metric"]: (row["difference"], row["same"]) for row in rows if row["difference"] != "+0.00"}
    assert moved == {
        "reference_log_likelihood": ("+0.75", "no"),
        "reference_log_likelihood_per_byte": ("+0.19", "no"),
    }


def test_tasks_that_one_study_has_not_are_named_as_verdicts_name_them(tmp_path: Path):
    """Before: the number of tasks alone was another one."""
    part = with_scores(
        cell(45.0, instruction="simplified"), scored(task_c=("classification", 100, 45.0, 45.0))
    )
    rows, lines = told(tmp_path, [*CELLS[:2], part])
    assert [
        row["tasks"] for row in rows if row["trained on"] == "simplified" and row["metric"] == "rougeL"
    ] == ["1"]
    assert "In some, tasks are left out, for not both sides have them on as many instances: task_g." in lines


def test_settings_without_a_task_in_common_are_named(tmp_path: Path):
    """Before: they stood nowhere."""
    other = with_scores(
        cell(45.0, instruction="simplified"), scored(task_c=("classification", 99, 45.0, 45.0))
    )
    rows, lines = told(tmp_path, [*CELLS[:2], other])
    assert {row["trained on"] for row in rows} == {"original"}
    (line,) = (line for line in lines if line.startswith("not compared, for the two have no task in common"))
    assert line.endswith("simplified, tested on simplified")


def test_seeds_of_the_same_answers_are_one(tmp_path: Path):
    copies = [
        cell(43.5, tested="original", seed=s, model="copy_demonstration", data_budget=0) for s in (0, 1)
    ]
    one, other = write_study(tmp_path / "a", copies), write_study(tmp_path / "b", copies)
    table, lines = compare_studies(one, other)
    assert {dict(zip(table.headings, line, strict=True))["seeds"] for line in table.lines} == {"1"}
    assert "In some, seeds 0, 1 have the same answers: one repetition." in lines
