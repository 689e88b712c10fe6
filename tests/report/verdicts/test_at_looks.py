"""Verdicts at looks: each hypothesis on the seeds of the look that settled it, and what the report says of that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.looks import CHAIN, Decision, Look
from instruct_ablate.grid.study import read_study
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.report import judge_study, report_lines
from instruct_ablate.report.verdicts.at_looks import StudyJudge, judge_all, judge_at, looks_of
from instruct_ablate.report.verdicts.sentences import sentences
from instruct_ablate.report.verdicts.verdicts import judge
from tests.report.cells import make_cell
from tests.report.studies import write_study
from tests.report.verdicts.test_verdicts import study

EQUAL = "simplified equals original on exact_match within 2"
BELOW = "simplified is lower than original on exact_match by 3"
WIDE = "simplified equals original on exact_match within 0.05"


def cells_of(seeds: int, noise: float = 0.5) -> list[CellRecord]:
    """Cells whose identities are as long as real ones."""
    return [
        replace(cell, identity=hashlib.sha256(cell.name.encode()).hexdigest())
        for cell in study(0.1, noise, seeds)
    ]


def look_at(cells: Sequence[CellRecord], done: int, texts: Sequence[str]) -> Look:
    grid = tuple(cell.identity[:16] for cell in cells)
    return Look(
        seeds=(0, 1, 2, 3, 4),
        done=done,
        hypotheses=tuple(texts),
        reference="original",
        grid=grid,
        cells=2 * done,
    )


def looked(folder: Path, cells: Sequence[CellRecord], done: Sequence[int], texts: Sequence[str]) -> Path:
    """A study with looks after so many seeds, taken as a sweep takes them."""
    write_study(folder, list(cells), tuple(texts))
    for number in done:
        look = look_at(cells, number, texts)
        CHAIN.add(folder, replace(look, decisions=StudyJudge().decide(folder, look)))
    return folder


def test_a_look_reads_the_seeds_that_it_has_and_no_other_cells(tmp_path: Path) -> None:
    cells = cells_of(5)
    foreign = [replace(cell, identity="f" * 64, name=f"foreign-{cell.name}") for cell in study(9.0, 0.1, 1)]
    foreign = [replace(cell, setting=cell.setting.changed(data_budget=99)) for cell in foreign]
    folder = write_study(tmp_path / "s", [*cells, *foreign])
    (verdict,) = judge_at(read_study(folder), look_at(cells, 3, [EQUAL]), [parse_hypothesis(EQUAL)])
    (finding,) = verdict.findings
    assert (finding.comparison.seeds, verdict.answer) == (3, "supported")
    assert finding.ruling.level < 0.05


def test_an_untuned_model_is_of_every_look_whatever_the_seeds(tmp_path: Path) -> None:
    made = [make_cell(5.0, data_budget=0), *(make_cell(50.0 + seed, seed=seed) for seed in (7, 5, 6))]
    cells = [replace(cell, identity=hashlib.sha256(cell.name.encode()).hexdigest()) for cell in made]
    claim = "original exceeds untuned on rougeL by 1"
    folder = write_study(tmp_path / "s", cells)
    look = replace(look_at(cells, 2, [claim]), seeds=(5, 6, 7))
    (verdict,) = judge_at(read_study(folder), look, [parse_hypothesis(claim)])
    (finding,) = verdict.findings
    assert finding.comparison.seeds == 2
    assert finding.comparison.mean == pytest.approx(((55 + 40) / 2 + (56 + 40) / 2) / 2 - (5 + 40) / 2)


def test_an_untuned_model_whose_tests_seeds_draw_is_of_a_look_by_its_seeds(tmp_path: Path) -> None:
    """Before: a look of two seeds was judged on all that were drawn."""
    both = [
        replace(cell, setting=replace(cell.setting, drawn=cell.setting.tests))
        for seed in range(5)
        for cell in (
            make_cell(5.0 + seed % 2, seed=seed, data_budget=0),
            make_cell(50.0 - seed % 3, seed=seed, data_budget=0, model="other"),
        )
    ]
    cells = [replace(cell, identity=hashlib.sha256(cell.name.encode()).hexdigest()) for cell in both]
    claim = "other exceeds tiny on rougeL by 1"
    folder = write_study(tmp_path / "s", cells)
    for done in (2, 3):
        (verdict,) = judge_at(read_study(folder), look_at(cells, done, [claim]), [parse_hypothesis(claim)])
        assert [one.comparison.seeds for one in verdict.findings] == [done]


def test_what_is_clear_at_two_seeds_is_settled_and_the_report_says_so(tmp_path: Path) -> None:
    folder = looked(tmp_path / "s", cells_of(5), [2], [EQUAL, BELOW])
    (look,) = read_study(folder).looks.taken
    assert look.decisions == (Decision(EQUAL, "supported", True), Decision(BELOW, "refuted", True))
    text = "\n".join(report_lines(judge_study(folder)))
    assert (
        "decided at look 1 (2 of 5 seeds, 4 of 10 cells): p-values and intervals hold over all looks" in text
    )
    assert "the study stopped early; all planned seeds might have said otherwise" in text
    assert all(one.looked.startswith("decided at look 1") for one in judge_study(folder).verdicts)
    assert "90 % interval over all looks" in text
    assert all("90 % interval over all looks" in one for one in sentences(judge_study(folder).verdicts))
    assert "Looks:\n    look 1: 2 of 5 seeds, 4 of 10 cells (" in text
    assert "stopped, for every hypothesis is settled: 0 of 10 cells saved (0 %), 6 done beyond" in text


def test_a_decision_stands_at_its_look_whatever_is_run_afterwards(tmp_path: Path) -> None:
    folder = looked(tmp_path / "s", cells_of(5), [2, 3], [EQUAL])
    (verdict,) = judge_study(folder).verdicts
    assert verdict.findings[0].comparison.seeds == 2
    assert verdict.looked.startswith("decided at look 1")


def test_what_is_open_is_judged_at_the_last_look(tmp_path: Path) -> None:
    cells = cells_of(5, noise=1.0)
    folder = write_study(tmp_path / "s", cells, (EQUAL,))
    CHAIN.add(folder, replace(look_at(cells, 2, [EQUAL]), decisions=(Decision(EQUAL, "undecided", False),)))
    CHAIN.add(folder, replace(look_at(cells, 3, [EQUAL]), decisions=(Decision(EQUAL, "undecided", False),)))
    (verdict,) = judge_all(read_study(folder), [parse_hypothesis(EQUAL)])
    assert verdict.findings[0].comparison.seeds == 3
    assert verdict.looked.startswith("open after look 2 (3 of 5 seeds")
    assert "the look said undecided, and the records are no longer what they were" in verdict.looked


def test_what_no_further_seed_would_decide_is_left_open(tmp_path: Path) -> None:
    cells = cells_of(5)
    folder = write_study(tmp_path / "s", cells, (WIDE,))
    CHAIN.add(folder, replace(look_at(cells, 2, [WIDE]), decisions=(Decision(WIDE, "undecided", True),)))
    (verdict,) = judge_all(read_study(folder), [parse_hypothesis(WIDE)])
    assert verdict.answer == "undecided"
    assert "left open at look 1" in verdict.looked
    assert "for no further seed was likely to decide it" in verdict.looked


def test_a_hypothesis_that_was_not_looked_at_is_said_to_be_none(tmp_path: Path) -> None:
    folder = looked(tmp_path / "s", cells_of(2) + cells_of(5)[4:], [2], [EQUAL])
    verdicts = judge_study(folder, further=[BELOW]).verdicts
    assert verdicts[0].looked.startswith("decided at look 1")
    assert "looked at while it ran, and not for this" in verdicts[1].looked
    assert verdicts[1].findings[0].ruling.level == 0.05


def test_without_looks_nothing_changes(tmp_path: Path) -> None:
    cells = cells_of(3)
    folder = write_study(tmp_path / "s", cells, (EQUAL,))
    (verdict,) = judge_study(folder).verdicts
    (plain,) = judge(read_study(folder).cells, [parse_hypothesis(EQUAL)], "original")
    assert (verdict.looked, verdict.settled) == ("", True)
    assert verdict.findings[0].ruling.p_support == pytest.approx(plain.findings[0].ruling.p_support)
    assert "Looks" not in "\n".join(report_lines(judge_study(folder)))


def test_sides_are_looked_for_before_any_cell() -> None:
    planned = [Identity(c.identity, c.name, c.setting, c.seed, "", {}) for c in cells_of(5)]
    StudyJudge().check(planned, [EQUAL, BELOW], "original")
    with pytest.raises(UserError, match=r"until=decided: .* no planned cell is 'delusive'"):
        StudyJudge().check(planned, [EQUAL.replace("simplified", "delusive")], "original")


def test_hypotheses_that_a_grid_leaves_without_cells_are_named(tmp_path: Path) -> None:
    """Before: only a sweep that stops said so; any other ran for hours and ended them as "no data"."""
    cells = cells_of(2)
    planned = [Identity(c.identity, c.name, c.setting, c.seed, "", {}) for c in cells]
    absent = EQUAL.replace("simplified", "delusive")
    one_sided = EQUAL.replace("simplified", "untuned")
    asked = [EQUAL, absent, one_sided]
    found = StudyJudge().lacking(tmp_path / "none", planned, asked, "original")
    assert [text for text in asked if any(repr(text) in line for line in found)] == [absent, one_sided]
    assert found[0].startswith(f"{absent!r}: no planned cell is 'delusive'; there is instruction: ")


def test_cells_that_the_study_has_already_are_a_side_too(tmp_path: Path) -> None:
    cells = cells_of(2)
    folder = write_study(tmp_path / "s", cells, (EQUAL,))
    planned = [
        Identity(c.identity, c.name, c.setting, c.seed, "", {})
        for c in cells
        if c.setting.instruction == "original"
    ]
    assert StudyJudge().lacking(folder, planned, [EQUAL], "original") == []
    assert len(StudyJudge().lacking(tmp_path / "other", planned, [EQUAL], "original")) == 1


def test_one_settled_refutation_settles_a_hypothesis() -> None:
    cells = study(0.1, 0.5, 3)
    elsewhere = [replace(c, setting=c.setting.changed(data_budget=20)) for c in study(-9.0, 0.3, 3)]
    (verdict,) = judge([*cells, *elsewhere], [parse_hypothesis(EQUAL)], "original")
    assert (verdict.answer, verdict.settled) == ("refuted", True)
    open_ = tuple(
        replace(f, ruling=replace(f.ruling, settled=f.answer == "refuted")) for f in verdict.findings
    )
    assert replace(verdict, findings=open_).settled
    none = tuple(
        replace(f, ruling=replace(f.ruling, settled=f.answer != "refuted")) for f in verdict.findings
    )
    assert not replace(verdict, findings=none).settled
    assert np.all([f.ruling.settled for f in verdict.findings])


def test_what_seeds_may_still_decide_is_not_settled(tmp_path: Path) -> None:
    cells = cells_of(5, noise=6.0)
    folder = write_study(tmp_path / "s", cells, (EQUAL,))
    (decision,) = StudyJudge().decide(folder, look_at(cells, 2, [EQUAL]))
    assert decision == Decision(EQUAL, "undecided", False)


def test_a_study_that_came_to_its_last_seed_has_not_stopped_early(tmp_path: Path) -> None:
    folder = looked(tmp_path / "s", cells_of(5), [5], [EQUAL])
    (verdict,) = judge_study(folder).verdicts
    assert (
        verdict.looked
        == "decided at look 1 (5 of 5 seeds, 10 of 10 cells): p-values and intervals hold over all looks"
    )


def test_cells_that_are_not_done_are_not_counted_as_beyond_a_look(tmp_path: Path) -> None:
    *before, last, other = cells_of(5)
    left = [replace(cell, state="interrupted", blocks=()) for cell in (last, other)]
    folder = looked(tmp_path / "s", [*before, *left], [2], [EQUAL])
    (*_, line) = looks_of(read_study(folder))
    assert line.endswith("2 of 10 cells saved (20 %), 4 done beyond what it took")


def test_planned_cells_are_a_side_beside_those_that_the_study_has(tmp_path: Path) -> None:
    there, planned = list[CellRecord](), list[CellRecord]()
    for cell in cells_of(2):
        (there if cell.setting.instruction == "original" else planned).append(cell)
    folder = write_study(tmp_path / "s", there, (EQUAL,))
    asked = [Identity(c.identity, c.name, c.setting, c.seed, "", {}) for c in planned]
    assert StudyJudge().lacking(folder, asked, [EQUAL], "original") == []


def test_every_clause_needs_two_sides(tmp_path: Path) -> None:
    cells = cells_of(2)
    lone = [c for c in cells if c.setting.instruction == "simplified"]
    cells += [
        replace(
            c, identity=f"1{c.identity}", setting=c.setting.changed(instruction="delusive", data_budget=99)
        )
        for c in lone
    ]
    planned = [Identity(c.identity, c.name, c.setting, c.seed, "", {}) for c in cells]
    assert StudyJudge().lacking(tmp_path / "none", planned, [EQUAL], "original") == []
    both = f"{EQUAL}; {EQUAL.replace('simplified', 'delusive')}"
    (line,) = StudyJudge().lacking(tmp_path / "none", planned, [both], "original")
    assert line.endswith("no two cells of the grid are its two sides.")
