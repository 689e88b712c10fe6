"""Cells of two precisions, devices, processors or versions beside each other: it is said where the numbers are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.record import CellRecord, Environment
from instruct_ablate.report.as_json import report_fields
from instruct_ablate.report.closing import closing_lines
from instruct_ablate.report.compare import compare_studies
from instruct_ablate.report.figures.paper import main_caption
from instruct_ablate.report.report import write_report
from instruct_ablate.report.rows.computed import ADVICE, RESCORE, apart_lines, ways_sentence
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.terminal_table import caption
from instruct_ablate.scores import MetricDescription
from tests.report.cells import make_cell
from tests.report.studies import write_study

VERSIONS = (("instruct-ablate", "1"), ("torch", "2.13"))
CPU = Environment("a", "c", None, "3.11", VERSIONS, "cpu", "fp32", processor="EPYC", threads=2)
GPU = replace(CPU, host="b", device="cuda:0", precision="bf16", processor="H200", threads=0)


def study(*made: Environment) -> list[CellRecord]:
    """Cells of two variants with a seed each way, original first, and what was not computed by a model."""
    cells = [
        replace(make_cell(50.0 + seed, instruction=variant, seed=seed), environment=one)
        for place, one in enumerate(made)
        for variant, seed in [(("original", "simplified")[place % 2], place // 2)]
    ]
    nobody = Environment("c", "c", None, "3.11", (), "none", "none")
    guess = replace(make_cell(25.0, model="uniform_guess", data_budget=0), environment=nobody)
    return [*cells, guess, replace(make_cell(None, seed=9), environment=replace(GPU, precision="fp16"))]


def scored(scoring: int, code: str, seed: int, variant: str = "original") -> CellRecord:
    """A cell scored by a version of the rules, and by a metric of one's own."""
    cell = make_cell(50.0, instruction=variant, seed=seed)
    own = MetricDescription("letters", "letters", code=code)
    return replace(cell, blocks=tuple(replace(one, scoring=scoring, metrics=(own,)) for one in cell.blocks))


def test_scores_of_several_rules_or_metrics_are_told_of(tmp_path: Path) -> None:
    alike = [scored(2, "a" * 64, 0), scored(2, "a" * 64, 1), scored(0, "", 2)]
    assert apart_lines(alike) == ()
    assert "scored alike" not in caption(build_rows(alike))
    edited = [*alike, scored(2, "b" * 64, 3), scored(1, "a" * 64, 4, "simplified")]
    rules, letters, advice = apart_lines(edited)
    assert rules == "scoring rules: version 2 (3 cells); version 1 (1 cell: tiny-simplified-8-4)"
    assert letters == "file of metric letters: aaaaaaaa (3 cells); bbbbbbbb (1 cell: tiny-original-8-3)"
    assert advice == RESCORE
    rows = build_rows(edited)
    told = "Not all scored alike: file of metric letters and scoring rules (instruct-ablate rescore)"
    assert told in caption(rows)
    assert told in main_caption("study", rows, ("exact_match",))
    one, other = (
        write_study(tmp_path / name, [scored(2, code * 64, 0)]) for name, code in (("one", "a"), ("two", "b"))
    )
    lines = compare_studies(one, other)[1]
    there = "scoring rules version 2, file of metric letters"
    assert f"not the same scoring: {there} aaaaaaaa against {there} bbbbbbbb" in lines


def test_metrics_noted_in_another_order_are_scored_alike(tmp_path: Path) -> None:
    cell = scored(2, "a" * 64, 0)
    (block,) = cell.blocks
    both = (*block.metrics, MetricDescription("words", "words", code="b" * 64))
    orders = {"one": both, "two": both[::-1]}
    one, other = (
        write_study(tmp_path / name, [replace(cell, blocks=(replace(block, metrics=order),))])
        for name, order in orders.items()
    )
    assert not [line for line in compare_studies(one, other)[1] if line.startswith("not the same")]


def said_of(cells: list[CellRecord]) -> str:
    return ways_sentence((row.setting, row.ways) for row in build_rows(cells))


def test_rows_say_in_which_ways_their_cells_were_computed() -> None:
    rows = {row.setting.instruction: row for row in build_rows(study(CPU, GPU, GPU, GPU))}
    assert rows["original"].ways == ("bf16 on cuda", "fp32 on cpu")
    assert rows["simplified"].ways == ("bf16 on cuda",)
    assert rows[""].ways == (), "a baseline was asked, no model"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (CPU, GPU, "precision: bf16 (2 cells); fp32 (1 cell: tiny-original-8-0)"),
        (CPU, replace(CPU, threads=1), "threads: 1 (2 cells); 2 (1 cell: tiny-original-8-0)"),
        (CPU, replace(CPU, processor="Xeon"), "processor: Xeon (2 cells); EPYC (1 cell: tiny-original-8-0)"),
        (
            CPU,
            replace(CPU, versions=(("torch", "2.9"),)),
            "package versions: torch-2.9 (2 cells); torch-2.13 (1 cell",
        ),
        (CPU, GPU, "device: cuda (2 cells); cpu (1 cell: tiny-original-8-0)"),
        (
            CPU,
            replace(CPU, tails=8),
            "last answers of a test's batches: 8 batches' together (2 cells); apart (1 cell: tiny-original-8-0)",
        ),
    ],
)
def test_what_is_not_alike_is_counted_and_named(one: Environment, other: Environment, told: str) -> None:
    *lines, advice = apart_lines(study(one, other, other))
    assert any(line.startswith(told) for line in lines)
    assert advice == ADVICE


@pytest.mark.parametrize(
    "other",
    [
        CPU,
        replace(CPU, host="z", command="d", commit="e"),
        replace(CPU, processor="", threads=0),  # of an early record
        replace(CPU, tails=1),  # another engine's, or of a model that transformers' own pass answers
        replace(CPU, versions=(("instruct-ablate", "2"), ("torch", "2.13"))),
    ],
)
def test_what_is_alike_or_not_known_is_no_line(other: Environment) -> None:
    assert apart_lines(study(CPU, other)) == ()
    assert said_of(study(CPU, other)) == ""


def test_a_precision_that_is_given_is_a_key_like_others() -> None:
    """Before: an ablation of trainer.precision was told to give trainer.precision."""
    key, half = "trainer.precision", replace(CPU, precision="bf16")
    given = [replace(make_cell(50.0, **{key: one.precision}), environment=one) for one in (CPU, half)]
    assert (apart_lines(given), said_of(given)) == ((), "")
    moved = [given[0], replace(given[1], environment=GPU)]
    assert [line.partition(":")[0] for line in apart_lines(moved)] == [
        "device",
        "processor",
        ADVICE.partition(":")[0],
    ]
    assert said_of(moved) == "Not all computed alike: bf16 on cuda and fp32 on cpu"
    auto = [
        replace(make_cell(50.0, seed=n, **{key: "auto"}), environment=one)
        for n, one in enumerate((CPU, half))
    ]
    assert apart_lines([*given, *auto])[0].startswith("precision: bf16 (1 cell); fp32 (1 cell: ")
    assert said_of([*given, *auto]) == "Not all computed alike: bf16 on cpu and fp32 on cpu"


def test_equal_gpus_are_one_device() -> None:
    assert apart_lines(study(GPU, replace(GPU, device="cuda:1"))) == ()


def test_every_place_that_shows_numbers_says_it(tmp_path: Path) -> None:
    folder = write_study(tmp_path, study(CPU, GPU, GPU, CPU))
    report = write_report(folder)
    said = "Not all computed alike: bf16 on cuda and fp32 on cpu."
    assert said in caption(report.rows)
    assert said in (report.folder / "main.tex").read_text()
    verdicts = (report.folder / "verdicts.txt").read_text()
    assert "Not computed alike:" in verdicts
    assert "precision: bf16 (2 cells); fp32 (2 cells: tiny-original-8-0, tiny-simplified-8-1)" in verdicts
    assert "Not computed alike: precision: bf16 (2 cells)" in report.page.read_text()
    assert any(line.startswith("Not computed alike: ") for line in closing_lines(report))
    told = json.loads(json.dumps(report_fields(report)))
    assert told["apart"] == list(apart_lines(report.study.cells))
    assert ["bf16 on cuda", "fp32 on cpu"] in [row["ways"] for row in told["rows"]]


def test_two_studies_with_the_same_precisions_in_other_cells_are_told_apart(tmp_path: Path) -> None:
    one, other = write_study(tmp_path / "1", study(CPU, GPU)), write_study(tmp_path / "2", study(GPU, CPU))
    assert (
        "not the same precision in 2 cells that both have done, though both have bf16, fp32"
        in compare_studies(one, other)[1]
    )
    assert not [line for line in compare_studies(one, one)[1] if "not the same" in line]
