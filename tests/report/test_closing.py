"""The end of a sweep: verdicts in words, which rows stand above the guess, and where to look next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.closing import above_guess, close, closing_lines, verdict_words
from instruct_ablate.report.report import judge_study
from instruct_ablate.report.verdicts.verdicts import Verdict, judge
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study
from tests.report.verdicts.test_verdicts import TASKS, study, with_tasks


def beside_guess(shift: float, noise: float = 1.0) -> list[CellRecord]:
    """Original and simplified of two seeds, and a guess so many points below them."""
    cells = study(0.0, noise, seeds=2)
    base = np.random.default_rng(0).uniform(60, 90, TASKS)
    return [*cells, with_tasks(make_cell(1.0, model="uniform_guess", data_budget=0), base - shift)]


def judged(cells: list[CellRecord], *texts: str) -> tuple[Verdict, ...]:
    return judge(cells, [parse_hypothesis(text) for text in texts], "original")


CLAIMS = ("original exceeds uniform_guess on exact_match", "simplified exceeds uniform_guess on exact_match")


@pytest.mark.parametrize(
    ("shift", "noise", "heading"),
    [(20.0, 1.0, "shown to be"), (-20.0, 1.0, "shown not to be"), (0.0, 20.0, "open")],
)
def test_rows_are_sorted_by_what_is_shown_of_them(shift: float, noise: float, heading: str) -> None:
    first, *said = above_guess(judged(beside_guess(shift, noise), CLAIMS[1]))
    assert first == "Above the uniform guess:"
    assert f"    {heading}: simplified (tiny, budget 8)" in said
    assert sum(line.endswith(": no row") for line in said) == 2


def test_claims_on_the_guess_alone_are_counted() -> None:
    others = (
        "simplified exceeds original on exact_match",
        "original exceeds uniform_guess on exact_match by 5",
    )
    assert list(above_guess(judged(beside_guess(20.0), *others))) == []


def test_what_is_open_says_what_would_decide_it() -> None:
    claim = "simplified equals original on exact_match within 2"
    (verdict,) = judged(study(0.0, 20.0, seeds=2), claim)
    head, deciding = verdict_words(verdict)
    assert head.startswith("? it is open whether simplified is equal to original within 2 points")
    assert deciding.startswith("    open at tiny, budget 8: ")
    assert "decide" in deciding
    (verdict,) = judged(study(0.0, 0.3, seeds=2), claim)
    assert len(list(verdict_words(verdict))) == 1


def test_one_seed_says_what_to_run() -> None:
    (verdict,) = judged(study(0.0, 0.3, seeds=1), "simplified equals original on exact_match within 2")
    assert list(verdict_words(verdict))[1:] == ["    open at tiny, budget 8: run two more seeds, better four"]


def test_a_claim_without_cells_is_one_line() -> None:
    (verdict,) = judged(study(0.0, 1.0), "delusive equals original on exact_match within 2")
    assert len(list(verdict_words(verdict))) == 1


def test_it_writes_the_report_and_names_page_and_next_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_study(tmp_path / "s")
    close(folder)
    said = capsys.readouterr().out.splitlines()
    page = folder / "report" / "index.html"
    assert page.is_file()
    assert f"Page:   {page}" in said
    (command,) = [line for line in said if line.startswith("Next:")]
    cell = Path(command.split()[-2])
    assert (cell / "record.json").is_file()
    assert "original" in cell.name or "simplified" in cell.name


def test_nothing_trained_leaves_no_next_command(tmp_path: Path) -> None:
    said = closing_lines(judge_study(write_study(tmp_path / "s", [make_cell(5.0, data_budget=0)])))
    assert [line for line in said if line.startswith("Next:")] == []
