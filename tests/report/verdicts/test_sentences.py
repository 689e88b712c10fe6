"""Sentences: each answer in words, with the numbers it rests on and where it was found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.verdicts.sentences import sentence, sentences
from instruct_ablate.report.verdicts.verdicts import judge
from tests.report.cells import make_cell
from tests.scored import score


def many_tasks(cell: CellRecord, level: float) -> CellRecord:
    """The cell on thirty generation tasks of many instances, their scores round about a level."""
    (block,) = cell.blocks
    template = block.scores.tasks[1]
    tasks = tuple(
        replace(template, score=score(f"t{n:02}", 20_000, 0.0, level + 0.1 * (n % 3), level + 0.1 * (n % 3)))
        for n in range(30)
    )
    return replace(cell, blocks=(replace(block, scores=replace(block.scores, tasks=tasks)),))


def cells(levels: dict[str, float], budgets: tuple[int, ...] = (8,), seeds: int = 5) -> list[CellRecord]:
    return [
        many_tasks(
            make_cell(50.0, seed=seed, instruction=variant, data_budget=budget), level + 0.01 * (seed % 2)
        )
        for variant, level in levels.items()
        for budget in budgets
        for seed in range(seeds)
    ]


def said(text: str, of: list[CellRecord]) -> str:
    (verdict,) = judge(of, [parse_hypothesis(text)], "original")
    return sentence(verdict)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (
            "simplified equals original on rougeL within 2",
            "simplified is equal to original within 2 points on ROUGE-L (all): -1.00 points, 90 % interval -1.",
        ),
        (
            "delusive equals original on rougeL within 2",
            "delusive differs from original by more than 2 points on ROUGE-L (all): -20.00 points, ",
        ),
        (
            "original exceeds delusive on rougeL by 1",
            "original is higher than delusive by more than 1 point on ROUGE-L (all): +20.00 points, ",
        ),
        (
            "delusive exceeds original on rougeL by 1",
            "delusive is not higher than original by 1 point on ROUGE-L (all): -20.00 points, ",
        ),
        (
            "delusive is lower than original on rougeL",
            "delusive is lower than original on ROUGE-L (all): -20.00 points, ",
        ),
        (
            "nothing exceeds original on rougeL",
            "there is nothing yet to tell whether nothing is higher than original on ROUGE-L (all): ",
        ),
    ],
)
def test_an_answer_is_said_in_words_with_its_numbers(text: str, start: str):
    told = said(text, cells({"original": 50.0, "simplified": 49.0, "delusive": 30.0}))
    assert told.startswith(start)
    assert told.endswith("(5 seeds, 30 tasks)." if "nothing" not in text else ".")


def test_several_places_are_counted_and_their_numbers_span():
    studied = cells({"original": 50.0, "simplified": 49.0}, budgets=(2, 8))
    told = said("simplified equals original on rougeL within 2", studied)
    assert " at both places: -1.00 to -1.00 points, 90 % intervals within -1." in told
    three = [*studied, *cells({"original": 50.0, "simplified": 30.0}, budgets=(32,))]
    told = said("simplified equals original on rougeL within 2", three)
    assert (
        "by more than 2 points on ROUGE-L (all) at 1 of 3 places (tiny, budget 32): -20.00 points, " in told
    )


EQUAL = "simplified equals original on rougeL within 2"
BOTH = {"original": 50.0, "simplified": 49.0}


def test_clauses_stand_in_a_row_and_what_has_no_cells_says_so():
    first, second = said(f"{EQUAL}; delusive exceeds original", cells(BOTH)).split("; ", 1)
    assert first.startswith("simplified is equal to original within 2 points")
    assert second.startswith("there is nothing yet to tell whether delusive is higher than original")


def test_a_clause_has_its_own_reason_though_others_before_it_have_the_same_one():
    """Before: a reason was told once, and the clauses behind it had the next one's, or none."""
    text = "delusive exceeds original on rougeL; exceeds original by 1; empty exceeds original"
    told = said(text, cells(BOTH)).split("; there is nothing yet to tell whether ")
    assert len(told) == 3
    assert all("no done cell is 'delusive'" in one for one in told[:2])
    assert "no done cell is 'empty'" in told[2]


def test_a_sentence_counts_the_places_that_are_not_judged():
    """Before: "at both places" was said of a study that has a third one."""
    studied = cells(BOTH, budgets=(2, 8, 32))
    double = [replace(cell, name=f"{cell.name}-again", identity="f" * 64) for cell in studied[-1:]]
    told = said(EQUAL, [*studied, *double])
    assert " at both places: " in told
    assert told.endswith(" - 1 place is not judged, for cells there clash.")
    assert "not judged" not in said(EQUAL, studied)


def test_a_place_whose_seeds_are_tested_otherwise_is_not_called_a_clash():
    studied = cells(BOTH, budgets=(2, 8, 32))
    last = studied[-1]
    (block,) = last.blocks
    fewer = replace(block, scores=replace(block.scores, tasks=block.scores.tasks[:-1]))
    other = [*studied[:-1], replace(last, blocks=(fewer,))]
    assert said(EQUAL, other).endswith(" - 1 place is not judged, for seeds there are not tested alike.")
    double = replace(studied[0], name=f"{studied[0].name}-again", identity="f" * 64)
    assert said(EQUAL, [*other, double]).endswith(
        " - 1 place is not judged, for cells there clash - 1 place is not judged, for seeds there are not tested alike."
    )


def test_one_seed_leaves_it_open():
    told = said(EQUAL, cells(BOTH, seeds=1))
    assert told.startswith("it is open whether simplified is equal to original within 2 points")
    assert ": so far -1.00 points" in told


def test_a_line_begins_with_the_mark_of_its_answer():
    verdicts = judge([make_cell(None)], [parse_hypothesis("a equals b on rougeL within 1")], "original")
    assert next(sentences(verdicts)).startswith("- there is nothing yet to tell whether a is equal to b")


def test_what_one_seed_leaves_out_stands_beside_its_interval() -> None:
    one = cells({"original": 50.0, "simplified": 49.0}, seeds=1)
    told = said("simplified equals original on rougeL within 2", one)
    assert told.endswith("for this seed, which leaves out how seeds vary (1 seed, 30 tasks).")
    places = said(
        "simplified equals original on rougeL within 2",
        cells({"original": 50.0, "simplified": 49.0}, (4, 8), seeds=1),
    )
    assert "intervals within" in places
    assert "for this seed, which leaves out how seeds vary" in places
    five = said(
        "simplified equals original on rougeL within 2", cells({"original": 50.0, "simplified": 49.0})
    )
    assert "leaves out" not in five
