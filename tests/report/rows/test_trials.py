"""Trials: the three examples that merged or crossed cells, and cells that are one setting and seed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record.record import BlockKey, CellRecord, ScoreBlock
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.rows.trials import Trial, Trials, without_clashes
from instruct_ablate.report.rows.trials import tested_as_usual as usual_test
from instruct_ablate.report.statistics.paired import pair
from instruct_ablate.report.tables.terminal_table import Places, unfinished
from instruct_ablate.report.verdicts.verdicts import judge
from tests.report.cells import make_cell, make_scores, place


def test_a_swept_learning_rate_is_two_rows_and_a_column():
    rows = build_rows([make_cell(50.0, lr=1e-5), make_cell(20.0, lr=1e-2)])
    assert [(row.setting.get("trainer.learning_rate"), row.mean("exact_match").value) for row in rows] == [
        (1e-5, 50.0),
        (1e-2, 20.0),
    ]
    assert "trainer.learning_rate" in Places(rows).headings
    assert all(row.seeds == (0,) for row in rows)


def test_two_data_sets_of_one_reader_are_two_rows():
    rows = build_rows([make_cell(50.0, tasks="reviews"), make_cell(20.0, tasks="other")])
    assert [Places(rows).texts(row)[0] for row in rows] == ["other", "reviews"]


def test_the_difference_to_the_original_is_to_the_one_with_as_many_examples():
    cells = [
        make_cell(60.0, num_positive=2),
        make_cell(30.0, num_positive=0),
        make_cell(59.0, num_positive=2, instruction="simplified"),
        make_cell(29.0, num_positive=0, instruction="simplified"),
    ]
    for order in itertools.permutations(cells):
        rows = {row.setting: row.to_reference for row in build_rows(order)}
        for number in (0, 2):
            found = rows[place(num_positive=number, instruction="simplified")]
            assert found is not None
            assert found.value == -1.0
    (row,) = [row for row in build_rows([cells[0], cells[3]]) if row.setting.instruction == "simplified"]
    assert row.to_reference is None, "never a near one"


def test_a_verdict_is_the_same_in_whatever_order_cells_are_read():
    cells = [make_cell(60.0, seed=s, lr=lr) for s in (0, 1) for lr in (1e-5, 1e-2)]
    cells += [
        make_cell(90.0 - 5e3 * lr, seed=s, lr=lr, instruction="simplified")
        for s in (0, 1)
        for lr in (1e-5, 1e-2)
    ]
    claim = [parse_hypothesis("simplified exceeds original on exact_match by 5")]
    orders = [[*cells[k:], *cells[:k]][:: (-1) ** k] for k in range(len(cells))]
    told = {repr(judge(order, claim, "original")) for order in orders}
    assert len(told) == 1


def test_two_cells_of_one_setting_and_seed_are_told_and_the_rest_stands():
    one, other = make_cell(50.0), replace(make_cell(70.0), name="again", identity="again")
    simplified = make_cell(49.0, instruction="simplified")
    rows = build_rows([one, other, make_cell(60.0, seed=1), simplified, make_cell(20.0, data_budget=0)])
    clash, rest = rows[1], rows[2]
    assert clash.clash == ("again", one.name)
    assert (clash.means, clash.to_untuned) == ((), None), "nothing averaged, nothing dropped"
    assert unfinished(clash) == f"clash: again and {one.name}"
    assert rest.mean("exact_match").value == 49.0
    assert rest.to_reference is None, "what clashes is nobody's counterpart"
    assert rest.to_untuned.value == 29.0


def test_an_unfinished_cell_counts_where_it_will_be_tested():
    done = make_cell(50.0, tested="original", instruction="delusive")
    missing = make_cell(None, seed=1, tested="original", instruction="delusive")
    (row,) = build_rows([done, missing])
    assert (row.tested, row.unfinished) == ("original", (("missing", 1),))


def test_as_trained_before_tested_alike():
    original = make_cell(60.0)
    original = replace(original, blocks=(*original.blocks, ScoreBlock("delusive", "p", make_scores(40.0))))
    delusive = make_cell(50.0, instruction="delusive")
    trials = Trials([original, delusive])
    trial = Trial(delusive.setting, "delusive")
    assert trials.reference(trial, "original") == Trial(original.setting, "original")
    assert trials.test(Trial(original.setting, "original"), "delusive") == Trial(original.setting, "delusive")


def test_what_is_not_trained_may_also_be_tested_on_the_reference():
    untuned, small = make_cell(5.0, data_budget=0), make_cell(50.0, tested="original", data_budget=2)
    delusive = make_cell(40.0, tested="delusive")
    trials, trial = Trials([untuned, small, delusive]), Trial(delusive.setting, "delusive")
    assert trials.others(trial, {"data_budget": 0}, "original") == (Trial(untuned.setting, "original"),)
    assert trials.others(trial, {"data_budget": 2}, "original") == ()
    assert trials.untuned(trial, "original") == Trial(untuned.setting, "original")
    assert trials.untuned(Trial(untuned.setting, "original"), "original") is None


def test_what_is_tested_on_the_reference_stands_against_nothing():
    original = make_cell(60.0)
    original = replace(original, blocks=(*original.blocks, ScoreBlock("delusive", "p", make_scores(40.0))))
    trials = Trials([original])
    assert trials.reference(Trial(original.setting, "original"), "original") is None
    assert trials.reference(Trial(original.setting, "delusive"), "original") == Trial(
        original.setting, "original"
    )


def under(templates: dict[str, float], seed: int, variant: str = "original") -> CellRecord:
    """A cell with an exact match under each of its templates."""
    blocks = tuple(
        ScoreBlock(variant, f"{name}.jsonl", make_scores(exact), key=BlockKey(variant, name))
        for name, exact in templates.items()
    )
    return replace(make_cell(1.0, seed=seed, instruction=variant), blocks=blocks)


def exact(trials: Trials, trial: Trial, template: str | None = None) -> dict[int, float | None]:
    by_seed = trials.scores[trial] if template is None else trials.templates[trial][template]
    return {seed: scores.kinds[0].get("exact_match") for seed, scores in by_seed.items()}


def test_over_templates_a_trial_has_their_mean_and_each_ones_own() -> None:
    cells = [under({"plain": 10.0, "bars": 40.0}, 0), under({"bars": 60.0, "plain": 20.0}, 1)]
    cells += [under({"plain": 15.0, "bars": 15.0}, seed, "simplified") for seed in (0, 1)]
    trials = Trials(cells)
    original, simplified = (Trial(cell.setting, cell.setting.instruction) for cell in cells[::2])
    assert exact(trials, original) == {0: 25.0, 1: 40.0}
    assert exact(trials, original, "plain") == {0: 10.0, 1: 20.0}
    assert exact(trials, original, "bars") == {0: 40.0, 1: 60.0}
    pairing = pair(trials.scores[original], trials.scores[simplified], "exact_match")
    assert pairing is not None
    (effects,) = trials.over_templates(pairing, (original, simplified), "exact_match").templates
    by_hand = {"plain": 15.0 - 15.0, "bars": 50.0 - 15.0}
    assert effects.tolist() == [[by_hand[name]] for name in trials.templates[original]]
    clashing = Trials([*cells, replace(cells[0], identity="again", name="again")])
    assert clashing.clashes.keys() == {original}
    assert clashing.scores.keys() == {simplified}
    assert original not in clashing.templates


def test_an_untuned_model_stands_against_its_own_test_of_the_reference_and_for_what_is_tested_alike() -> None:
    untuned = make_cell(5.0, data_budget=0)
    untuned = replace(untuned, blocks=(*untuned.blocks, ScoreBlock("delusive", "p", make_scores(3.0))))
    delusive = make_cell(40.0, instruction="delusive")
    trials = Trials([untuned, delusive])
    alike, reference = (Trial(untuned.setting, tested) for tested in ("delusive", "original"))
    assert trials.reference(alike, "original") == reference
    assert trials.reference(reference, "original") is None
    assert trials.untuned(Trial(delusive.setting, "delusive"), "original") == alike


def test_what_clashes_is_left_out_whole_and_other_seeds_are_no_clash() -> None:
    cells = [make_cell(50.0, seed=seed, lr=lr) for seed in (0, 1) for lr in (1e-5, 1e-2)]
    assert without_clashes([*cells, make_cell(None, seed=2)]) == cells
    again = replace(cells[0], identity="again", name="again")
    assert without_clashes([*cells, again]) == [cells[1], cells[3]], "its other seed has no mean to be of"


@pytest.mark.parametrize(
    ("cell", "usual"),
    [
        (make_cell(1.0, data_budget=0), "original"),
        (make_cell(1.0, tested="delusive", data_budget=0), "original"),
        (make_cell(1.0, model="majority", data_budget=0), "original"),
        (make_cell(1.0), "original"),
        (make_cell(1.0, tested="original", instruction="delusive"), "delusive"),
    ],
)
def test_a_test_is_named_unless_it_is_the_usual_one(cell: CellRecord, usual: str) -> None:
    named = {tested for tested in ("original", "delusive") if not usual_test(cell.setting, tested)}
    assert named == {"original", "delusive"} - {usual}
