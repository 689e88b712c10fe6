"""What the seed draws without training, an untuned model's examples or a baseline's answers: one seed is one draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.counterpart import drawn
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import VARIANTS, variant
from instruct_ablate.report.figures.paper import main_caption
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.rows.trials import Trials
from instruct_ablate.report.tables.differences import differences
from instruct_ablate.report.tables.terminal_table import caption, draw_line
from instruct_ablate.report.verdicts.contrasts import contrasts
from instruct_ablate.report.verdicts.verdicts import judge, lines
from instruct_ablate.schema import BudgetConfig, EvaluationConfig
from instruct_ablate.tasks.task import Task
from tests.report.cells import make_cell, place
from tests.standins import make_config, replace_inputs

RANDOM = "random_labels"
CLAIM = parse_hypothesis(f"{RANDOM} exceeds untuned on exact_match by 5")


def trained(*seeds: int) -> list[CellRecord]:
    return [make_cell(60.0 + seed, seed=seed, instruction=RANDOM) for seed in seeds]


def untuned(seed: int = 0, tested: str = RANDOM, **changes: object) -> CellRecord:
    return make_cell(20.0 + seed, tested, seed=seed, data_budget=0, **changes)


@pytest.mark.parametrize("tested", [RANDOM, "simplified+random_english_words", "partly_correct(0.5)"])
def test_one_draw_stands_for_its_seed_alone(tested: str) -> None:
    cells = [*(make_cell(60.0 + s, tested, seed=s) for s in (0, 1, 2)), untuned(0, tested)]
    row = build_rows(cells)[-1]
    assert row.to_untuned is not None
    assert (row.to_untuned.value, row.to_untuned.seeds) == (40.0, 1), "seeds 1 and 2 have other examples"
    other = build_rows([*cells[:3], untuned(7, tested)])[-1]
    assert other.to_untuned is None


@pytest.mark.parametrize("tested", ["original", "delusive", "no_examples", "permuted_labels"])
def test_what_is_not_drawn_stands_for_every_seed(tested: str) -> None:
    cells = [*(make_cell(60.0 + s, tested, seed=s) for s in (0, 1, 2)), untuned(0, tested)]
    row = build_rows(cells)[-1]
    assert row.to_untuned is not None
    assert (row.to_untuned.value, row.to_untuned.seeds) == (41.0, 3)
    assert draw_line(build_rows(cells)) is None


def test_a_cell_with_several_tests_is_drawn_in_some() -> None:
    """Its seed counts for the whole cell; the test on the originals is the same under each."""
    whole = place(RANDOM, data_budget=0)
    assert (drawn(whole, RANDOM), drawn(whole, "original")) == (True, False)
    assert not drawn(place(RANDOM, data_budget=0, num_positive=0), RANDOM), "none is shown"


def test_baselines_that_draw() -> None:
    assert drawn(place(model="label_prior", data_budget=0), "original")
    for name in ("majority", "uniform_guess", "copy_input", "copy_demonstration"):
        assert not drawn(place(model=name, data_budget=0), "original"), name
    assert drawn(place(RANDOM, model="copy_demonstration", data_budget=0), RANDOM)
    assert not drawn(place(RANDOM, model="uniform_guess", data_budget=0), RANDOM), "it reads no examples"


def test_the_verdict_is_of_one_seed() -> None:
    verdict = judge([*trained(0, 1, 2), untuned()], [CLAIM], "original")[0]
    (finding,) = verdict.findings
    assert finding.comparison.seeds == 1
    assert finding.comparison.one_seed
    assert any("(one seed)" in line for line in lines([verdict]))
    whole = [*trained(0, 1, 2), *(untuned(seed) for seed in (0, 1, 2))]
    (contrast,) = contrasts(Trials(whole), CLAIM.clauses[0], "original")
    assert set(contrast.left) == set(contrast.right) == {0, 1, 2}


def test_two_untuned_rows_of_which_one_is_drawn_know_no_seeds() -> None:
    """Before: held to be without seeds on both sides, so that one draw decided."""
    cells = [untuned(), untuned(tested="original")]
    (found,) = (one for one in differences(cells, "original") if one.metric == "exact_match")
    assert found.comparison.seeds_from == "left out"
    several = [*(untuned(seed) for seed in (0, 1, 2)), untuned(tested="original")]
    (found,) = (one for one in differences(several, "original") if one.metric == "exact_match")
    assert (found.comparison.seeds, found.comparison.seeds_from) == (3, "own"), "the other stands for each"
    plain = [untuned(tested="delusive"), untuned(tested="original")]
    (found,) = (one for one in differences(plain, "original") if one.metric == "exact_match")
    assert found.comparison.seeds_from == "none"


def test_captions_say_it() -> None:
    rows = build_rows([*trained(0, 1), untuned()])
    said = (
        f"ne seed's draw, with no deviation, and held against that seed alone: (untuned) tested on {RANDOM}."
    )
    assert said in caption(rows)
    assert said in main_caption("study", rows, ("exact_match",))
    both = build_rows([*trained(0, 1), untuned(), untuned(1)])
    assert "seed's draw" not in caption(both) + main_caption("study", both, ("exact_match",))
    prior = build_rows([*trained(0, 1), make_cell(30.0, model="label_prior", data_budget=0)])
    assert "(label_prior) tested on" in caption(prior)


def test_a_record_says_it_of_variants_that_a_report_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    monkeypatch.setitem(VARIANTS, "examples", dict(VARIANTS["examples"]))

    @variant("examples", chance=True)
    def my_draw(task: Task, context: Context) -> Task:
        return task

    config = replace(
        make_config(Path("out")),
        data_budget=BudgetConfig(0),
        evaluation=EvaluationConfig(instructions=["original", "my_draw"]),
    )
    setting = identify(config).setting
    monkeypatch.undo()
    assert "my_draw" not in VARIANTS["examples"]
    assert (drawn(setting, "my_draw"), drawn(setting, "original")) == (True, False)
    assert drawn(setting.changed(model="other"), "my_draw")
