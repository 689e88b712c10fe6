"""A metric of the user's, or one chosen beside the usual ones, is found everywhere a built-in one is."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics import Selection, find_measure
from instruct_ablate.metrics.likelihood import PER_TOKEN
from instruct_ablate.metrics.measures import DIFFERENCES, USUAL
from instruct_ablate.metrics.registry import describe
from instruct_ablate.report.compare import compare_studies
from instruct_ablate.report.page.browser import browser_data
from instruct_ablate.report.page.page import plot
from instruct_ablate.report.page.sample import choose
from instruct_ablate.report.report import write_report
from instruct_ablate.report.rows.columns import (
    COMPARED,
    column_heading,
    compared,
    explained,
    group_columns,
    main_columns,
    shown_measures,
    shown_metrics,
)
from instruct_ablate.report.rows.seed_means import Mean, Row, build_rows
from instruct_ablate.report.statistics.finding import finding_line
from instruct_ablate.report.tables.tables import group_table
from instruct_ablate.report.tables.terminal_table import caption
from instruct_ablate.scores import MetricDescription, Score, Scores
from tests.report.cells import make_cell
from tests.report.studies import write_study

OWN = MetricDescription("answer_words", "answer\nwords", unit="words", higher_is_better=False, range=None)


LIKELY = next(
    one.description for one in Selection((PER_TOKEN,)).load() if one.name == PER_TOKEN
)  # in nats: below zero, without a bound


def with_own(cell: CellRecord, value: float, own: MetricDescription = OWN) -> CellRecord:
    """The cell, scored by a metric that is not always there too."""

    def more(score: Score) -> Score:
        return replace(score, values=(*score.values, (own.name, value)))

    (block,), scores = cell.blocks, cell.blocks[0].scores
    further = Scores(
        more(scores.overall),
        more(scores.task_mean),
        tuple(map(more, scores.kinds)),
        tuple(map(more, scores.categories)),
        tuple(replace(task, score=more(task.score)) for task in scores.tasks),
    )
    return replace(cell, blocks=(replace(block, scores=further, metrics=(*block.metrics, own)),))


def test_further_metrics_are_in_every_table_figure_and_verdict(tmp_path: Path) -> None:
    cells = [make_cell(50.0 + s, seed=s, instruction=i) for s in (0, 1) for i in ("original", "simplified")]
    for own, level in ((OWN, 3.25), (LIKELY, -3.25)):
        values = [level + cell.seed + (cell.setting.instruction == "simplified") for cell in cells]
        cells = [with_own(cell, value, own) for cell, value in zip(cells, values, strict=True)]
    claims = tuple(f"simplified exceeds original on {own.name} by 0" for own in (OWN, LIKELY))
    report = write_report(write_study(tmp_path / "s", cells, claims))
    study = read_study(tmp_path / "s")
    for own, verdict in zip((OWN, LIKELY), report.verdicts, strict=True):
        heading = own.heading.replace("\n", " ")
        check_tables(report.folder, own, heading)
        told = finding_line(verdict.findings[0])
        assert f"{own.name} +1.00 {own.unit}, " in told
        assert "points" not in told
        assert own.name in shown_measures(study.cells)
        assert plot(report.rows, (own.name,))["y"] == find_measure(own.name).label
        assert own.name in compared(study.cells)
    assert "in words, the lower the better" in (report.folder / "main.tex").read_text()
    for cell in study.cells:
        path = study.folder / cell.name / cell.blocks[0].predictions
        values = f'"{OWN.name}": 7.0, "{LIKELY.name}": -1.25, '
        path.write_text(path.read_text().replace('"values": {', f'"values": {{{values}'))
    browsed = browser_data(study.folder, choose(study.cells), ("rougeL",))
    assert browsed["metrics"] == ["ROUGE-L", "answer words", "ref. log-lik. per token"]
    assert browsed["tasks"]["task_c"]["instances"]["i1"]["answers"][0][4] == [1.0, 7.0, -1.25]
    assert main_columns(build_rows(study.cells)) == (*USUAL, LIKELY.name, OWN.name)
    assert main_columns(build_rows(study.cells), ("rougeL",)) == ("rougeL",)


def check_tables(folder: Path, own: MetricDescription, heading: str) -> None:
    """The metric is in every file of a report, without an equality within points."""
    assert f"{heading} (all)" in (folder / "main.csv").read_text().splitlines()[0]
    for name in ("main.tex", "main.md", "index.html", "categories.csv", "tasks.csv"):
        assert heading in (folder / name).read_text(encoding="utf-8")
    with (folder / "differences.csv").open(encoding="utf-8", newline="") as file:
        (line,) = [line for line in csv.DictReader(file) if line["metric"] == own.name]
    assert (line["difference"], line["p (equal within 2)"]) == ("+1.00", "-")
    assert own.name in pq.read_table(folder / "tidy.parquet").column_names
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {own.name, f"categories_{own.name}", f"tasks_{own.name}"} <= figures


def test_what_is_chosen_comes_beside_what_is_always_compared() -> None:
    cells = [make_cell(50.0)]
    assert compared(cells) == COMPARED
    assert compared(cells, ("to_reference", "generation_rougeL", "uniform_guess")) == (
        *COMPARED,
        "generation_rougeL",
    )
    assert group_columns(cells, ("generation_rougeL", "rouge1")) == (*COMPARED, "rouge1"), "each metric once"


def test_a_setting_is_judged_by_no_difference_and_nothing_of_the_data() -> None:
    assert shown_measures([]) == ("exact_match", "generation_rougeL", "rougeL", "format_correctness")
    assert shown_measures([], ("uniform_guess", "to_untuned", "rouge1", "to_reference")) == ("rouge1",)
    assert shown_metrics([]) == ("exact_match", "rougeL")
    assert shown_metrics([], ("generation_rougeL", "rougeL")) == ("rougeL",)


def test_headings_of_differences_name_the_other_side() -> None:
    assert column_heading("to_reference", "simplified") == "to\nsimplified"
    assert column_heading("to_untuned", "simplified") == "to\nuntuned"
    assert column_heading("exact_match", "simplified") == "exact\nmatch"


def test_only_what_is_not_as_usual_is_explained() -> None:
    plain = replace(OWN, name="plain_share", unit="%", higher_is_better=True)
    worse = replace(OWN, name="error_share", unit="%")
    words = replace(OWN, name="said_words", higher_is_better=True)
    describe((plain, worse, words))
    assert explained(("exact_match", "to_reference", "plain_share")) == ""
    assert (
        explained(("error_share", "said_words")) == "error_share the lower the better; said_words in words; "
    )


def test_compare_takes_a_users_metric_too(tmp_path: Path) -> None:
    one, other = (
        write_study(tmp_path / name, [with_own(make_cell(50.0, seed=seed), value + seed) for seed in (0, 1)])
        for name, value in (("one", 3.0), ("other", 4.5))
    )
    table, _ = compare_studies(one, other)
    lines = [dict(zip(table.headings, line, strict=True)) for line in table.lines]
    (line,) = (line for line in lines if line["metric"] == OWN.name)
    assert (line["difference"], line["seeds"], line["same"]) == ("+1.50", "2", "no")


def test_a_metric_of_no_line_is_no_column_of_a_groups_table() -> None:
    columns = ("exact_match", "consistency")
    describe((OWN,))  # as a record that is read does
    cells = [make_cell(50.0), with_own(make_cell(40.0, seed=1), 3.0)]
    for by in ("category", "task"):
        shown = group_table(cells, by, columns).headings
        assert "agreement of seeds" not in shown, "it is of several cells, and of no group"
        assert {"exact match", "answer words"} <= set(shown), "one line's value is enough"
        assert "exact match" in group_table([], by, columns).headings


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ((), USUAL),  # nothing is done yet
        (("exact_match", "rougeL"), tuple(name for name in USUAL if name != "generation_rougeL")),
        (("generation_rougeL", "rougeL"), ("generation_rougeL", "rougeL", *DIFFERENCES)),
        (("rougeL",), ("rougeL",)),
    ],
)
def test_what_nothing_was_tested_of_has_no_column(measured: tuple[str, ...], shown: tuple[str, ...]) -> None:
    rows = [Row(Setting(), "original", (0,), ((name, Mean(1.0, None, 1)),)) for name in measured] or [
        Row(Setting(), "original")
    ]
    assert main_columns(rows) == shown
    assert main_columns(rows, ("format_correctness",)) == ("format_correctness",), (
        "what is asked for is shown"
    )
    said = caption(rows, main_columns(rows))
    assert ("differences" in said) == ("to_reference" in shown)
    assert said.endswith(".")
