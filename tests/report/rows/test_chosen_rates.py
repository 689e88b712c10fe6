from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.cell.state.record.record import CellRecord, Selected
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.rows.chosen_rates import chosen_lines, searches
from tests.report.cells import make_cell

LORA = {"method": "lora", "method.learning_rate_factor": 10.0}


def cell(held: float, lr: float, seed: int = 0, measure: str = "rougeL", **changes: Any) -> CellRecord:
    """A cell whose test score is the worse the better its held-out one is."""
    made = make_cell(100 - held, seed=seed, lr=lr, **changes)
    return replace(made, selected=Selected(measure, 4, 4, 4, ((2, 99.0), (4, held))))


CELLS = [
    *(cell(held, lr) for lr, held in ((1e-5, 30.0), (1e-4, 40.0), (1e-3, 20.0))),
    *(cell(held, lr, **LORA) for lr, held in ((1e-5, 10.0), (1e-4, 35.0), (1e-3, 45.0))),
]


def test_each_method_has_the_rate_that_is_best_on_held_out_tasks() -> None:
    full, lora, claim = chosen_lines([*CELLS, make_cell(50.0, data_budget=0)])
    assert full == (
        "full: 0.0001 of 3 rates, by rougeL on held-out training tasks over 1 seed "
        "(30.00 at 1e-05, 40.00 at 0.0001, 20.00 at 0.001)"
    )
    assert lora.startswith("lora: 0.001 (trained at 0.01) of 3 rates")
    assert lora.endswith("it is the last of those tried: search further on that side")
    sides = [
        f"method={name},trainer.learning_rate={rate}" for name, rate in (("full", 0.0001), ("lora", 0.001))
    ]
    assert claim.endswith(f'--hypothesis "{sides[0]} exceeds {sides[1]} on rougeL"')
    other = [cell(held, lr, data_budget=4, **LORA) for lr, held in ((1e-5, 1.0), (1e-4, 2.0))]
    assert len(chosen_lines([*CELLS[:3], *other])) == 2, "budgets differ too: no claim compares them"


def test_rates_are_compared_over_the_seeds_that_all_have() -> None:
    made = [cell(50.0, 1e-4), cell(10.0, 1e-4, seed=1), cell(40.0, 1e-3)]
    (search,) = searches(made)
    assert (search.seeds, search.scores, search.best) == (1, (50.0, 40.0), 0)
    (search,) = searches([*made, cell(80.0, 1e-3, seed=1)])
    assert (search.seeds, search.scores, search.best) == (2, (30.0, 60.0), 1)
    assert searches([cell(50.0, 1e-4), cell(40.0, 1e-3, seed=1)]) == []


def test_rates_stand_in_their_order_and_of_equal_ones_the_smaller_is_chosen() -> None:
    held = {1e-3: 40.0, 1e-5: 10.0, 1e-4: 40.0}
    (search,) = searches([cell(score, lr, seed=seed) for lr, score in held.items() for seed in (1, 0)])
    assert [one.get("trainer.learning_rate") for one in search.settings] == [1e-5, 1e-4, 1e-3]
    assert (search.scores, search.best) == ((10.0, 40.0, 40.0), 1)


def test_rates_that_rounding_alone_sets_apart_are_equal() -> None:
    """The same three scores in another order have another plain sum, and other ones of one sum another mean."""
    low, middle, high = (100 * number / 24 for number in (1, 5, 4))
    held = {1e-4: (high, middle, low), 1e-3: (low, middle, high)}
    (search,) = searches(
        [cell(one, lr, seed=seed) for lr, own in held.items() for seed, one in enumerate(own)]
    )
    assert search.scores[0] == search.scores[1]
    assert search.best == 0
    held = {
        1e-4: (100 * (0 / 24), 100 * (11 / 24), 100 * (12 / 24)),
        1e-3: (100 * (1 / 24), 100 * (10 / 24), 100 * (12 / 24)),
    }
    (search,) = searches(
        [cell(one, lr, seed=seed) for lr, own in held.items() for seed, one in enumerate(own)]
    )
    assert search.scores[0] < search.scores[1], "else this shows nothing"
    assert search.best == 0


def test_where_less_is_better_the_least_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    known = find_measure("rougeL")
    errors = replace(known, metric=replace(known.metric, higher_is_better=False))
    monkeypatch.setattr("instruct_ablate.report.rows.chosen_rates.find_measure", lambda name: errors)
    (search,) = searches(CELLS[:3])
    assert search.scores[search.best] == 20.0


def test_what_was_chosen_by_other_measures_or_of_other_weights_is_not_held_against_each_other() -> None:
    """A search is by one measure; a claim is of two methods that share it, and of one revision of the model."""
    exact = [cell(held, lr, measure="exact_match") for lr, held in ((1e-5, 30.0), (1e-4, 40.0), (1e-3, 20.0))]
    assert [one.measure for one in searches(exact)] == ["exact_match"]
    assert [one.settings for one in searches([exact[0], cell(3.0, 1e-4)])] == []
    assert len(chosen_lines([*exact, *CELLS[3:]])) == 2, "no claim"
    assert len(chosen_lines([*CELLS[:3], *CELLS[3:]])) == 3
    moved = [cell(held, lr, revisions={"model": "b2"}) for lr, held in ((1e-5, 30.0), (1e-4, 40.0))]
    assert len(chosen_lines([*moved, *CELLS[3:]])) == 2, "of another model"


def test_what_was_not_scored_on_held_out_tasks_chooses_nothing() -> None:
    assert chosen_lines([make_cell(40.0, lr=1e-4), make_cell(50.0, lr=1e-3)]) == []
    assert chosen_lines([cell(40.0, 1e-4)]) == []
    assert chosen_lines([cell(40.0, 1e-4), replace(cell(50.0, 1e-3), state="failed")]) == []


def test_the_report_says_so(tmp_path: Any) -> None:
    from instruct_ablate.report.report import judge_study, report_lines
    from tests.report.studies import write_study

    write_study(tmp_path, CELLS)
    lines = list(report_lines(judge_study(tmp_path)))
    assert "Learning rates chosen on held-out tasks:" in lines
    assert any("full: 0.0001 of 3 rates" in line for line in lines)
