"""Rows: seeds are averaged, differences are paired, nothing unfinished is averaged over."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from instruct_ablate.cell.state.record.record import GENERAL, CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.trained_on import budget_text, trained_on
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.metrics import Scores, TaskScore
from instruct_ablate.report.rows.seed_means import Mean, Over, Row, build_rows
from instruct_ablate.report.rows.trials import Trials
from instruct_ablate.report.statistics.paired import pair
from instruct_ablate.report.verdicts.contrasts import contrasts
from instruct_ablate.scores import Score
from instruct_ablate.tasks.task import Kind
from tests.left_out import left_out
from tests.report.cells import make_cell, make_scores
from tests.scored import score


def by_instruction(rows: tuple[Row, ...]) -> dict[str, Row]:
    return {"untuned" if r.setting.untuned else r.setting.instruction: r for r in rows}


def test_seeds_are_averaged_with_their_deviation():
    (row,) = build_rows([make_cell(50.0, seed=0), make_cell(54.0, seed=1)])
    mean = row.mean("exact_match")
    assert mean is not None
    assert mean.value == pytest.approx(52.0)
    assert mean.deviation == pytest.approx(2.8284, abs=1e-3)
    assert mean.seeds == 2


Told = tuple[Kind, int, float, float]  # of a task: its kind, its instances, exact match and ROUGE-L


def scored(**tasks: Told) -> Scores:
    """Scores of these tasks; kinds are means over their tasks."""
    every = tuple(
        TaskScore(kind, "Logic", score(name, number, exact, rouge, rouge))
        for name, (kind, number, exact, rouge) in tasks.items()
    )

    def mean(name: str) -> Score:
        own = [one.score for one in every if name in ("overall", "task_mean", one.kind)]
        exact, rouge = (
            sum(one.get(key) or 0.0 for one in own) / len(own) for key in ("exact_match", "rougeL")
        )
        return score(name, sum(one.instances for one in own), exact, rouge, rouge)

    kinds = tuple(mean(kind) for kind in dict.fromkeys(one.kind for one in every))
    return Scores(mean("overall"), mean("task_mean"), kinds, (), every)


def with_scores(cell: CellRecord, scores: Scores) -> CellRecord:
    return replace(cell, blocks=(replace(cell.blocks[0], scores=scores),))


def test_three_seeds_have_their_mean_and_the_deviation_of_a_sample() -> None:
    (row,) = build_rows([make_cell(exact, seed=seed) for seed, exact in enumerate((50.0, 54.0, 70.0))])
    assert row.mean("exact_match") == Mean(58.0, pytest.approx(sqrt((8**2 + 4**2 + 12**2) / 2)), 3)


def test_differences_are_of_exact_match_where_both_have_it_and_of_rouge_without() -> None:
    classes: dict[str, Told] = {"a": ("classification", 10, 60.0, 90.0), "b": ("generation", 10, 0.0, 30.0)}
    texts: dict[str, Told] = {"b": classes["b"]}
    for tasks, expected in ((classes, -8.0), (texts, 5.0)):
        other = {
            name: (kind, number, exact - 8.0, rouge + 5.0)
            for name, (kind, number, exact, rouge) in tasks.items()
        }
        cells = [with_scores(make_cell(1.0), scored(**tasks))]
        cells += [with_scores(make_cell(1.0, instruction="simplified"), scored(**other))]
        found = by_instruction(build_rows(cells))["simplified"].to_reference
        assert found == Mean(expected, None, 1)


ONE: Told = ("classification", 10, 60.0, 60.0)


@pytest.mark.parametrize(
    "other",
    [
        {"a": ONE},
        {"a": ONE, "b": ONE, "c": ONE},
        {"a": ONE, "c": ONE},
        {"a": ONE, "b": ("classification", 12, 60.0, 60.0)},
        {"a": ("generation", 10, 60.0, 60.0), "b": ("generation", 10, 60.0, 60.0)},
    ],
    ids=["fewer", "more", "others", "other numbers", "other kinds"],
)
def test_means_over_other_tasks_have_no_difference(other: dict[str, Told]) -> None:
    tasks = {"a": ONE, "b": ONE}
    cells = [with_scores(make_cell(1.0, seed=seed), scored(**tasks)) for seed in (0, 1)]
    cells += [
        with_scores(make_cell(1.0, seed=seed, instruction="simplified"), scored(**own))
        for seed, own in enumerate((other, dict.fromkeys(tasks, ("classification", 10, 67.0, 1.0))))
    ]
    assert by_instruction(build_rows([*cells[:2], cells[3]]))["simplified"].to_reference == Mean(7.0, None, 1)
    assert by_instruction(build_rows([cells[0], cells[2]]))["simplified"].to_reference is None
    uneven = by_instruction(build_rows(cells))["simplified"]
    assert (uneven.uneven, uneven.means, uneven.to_reference) == (True, (), None), "no mean over other tests"


def test_what_means_are_over_is_told_of_all_kinds_of_tasks() -> None:
    first = scored(a=ONE, b=("classification", 30, 1.0, 1.0), c=("generation", 5, 0.0, 1.0))
    (row,) = build_rows([with_scores(make_cell(1.0, seed=seed), first) for seed in (0, 1)])
    assert row.over == {Over("classification", 2, 40), Over("generation", 1, 5)}


def with_general(cell: CellRecord, exact: float) -> CellRecord:
    return replace(cell, general=ScoreBlock(GENERAL, "predictions/general.jsonl", make_scores(exact)))


def test_forgetting_is_what_the_untuned_model_knew_more_seed_by_seed() -> None:
    cells = [with_general(make_cell(1.0, data_budget=0), 40.0)]
    cells += [with_general(make_cell(60.0, seed=seed), 25.0 + 6 * seed) for seed in (0, 1)]
    row = by_instruction(build_rows(cells))["original"]
    assert (row.general.value, row.general.seeds) == (28.0, 2)
    # over the tasks of the questions: the generation task has no exact match
    assert (row.forgetting.value, row.forgetting.deviation) == (12.0, pytest.approx(sqrt(18)))
    untuned = by_instruction(build_rows(cells))["untuned"]
    assert (untuned.general.value, untuned.forgetting) == (40.0, None)
    twice = [*cells, replace(cells[1], identity="other", name="other")]
    clash = by_instruction(build_rows(twice))["original"]
    assert clash.clash
    assert (clash.general, clash.forgetting) == (None, None)


def test_a_single_seed_has_no_deviation():
    (row,) = build_rows([make_cell(50.0)])
    mean = row.mean("exact_match")
    assert mean is not None
    assert mean.deviation is None


def test_differences_use_only_the_seeds_that_both_sides_have():
    cells = [
        make_cell(60.0, seed=0),
        make_cell(70.0, seed=1),
        make_cell(58.0, seed=1, instruction="simplified"),
        make_cell(99.0, seed=2, instruction="simplified"),
    ]
    row = by_instruction(build_rows(cells))["simplified"]
    assert row.to_reference is not None
    assert row.to_reference.value == pytest.approx(-12.0)
    assert row.to_reference.seeds == 1


def test_the_untuned_model_is_paired_with_every_seed():
    cells = [
        make_cell(20.0, data_budget=0),
        make_cell(60.0, seed=3),
        make_cell(64.0, seed=4),
    ]
    rows = by_instruction(build_rows(cells))
    assert rows["original"].to_untuned is not None
    assert rows["original"].to_untuned.value == pytest.approx(42.0)
    assert rows["untuned"].to_untuned is None
    assert rows["untuned"].to_reference is None


def test_an_untuned_model_with_seeds_is_paired_with_its_own():
    """Examples that the seed draws are shown to the untuned model too: another seed's are no stand-in."""
    cells = [make_cell(exact, data_budget=0, seed=seed) for seed, exact in enumerate((20.0, 30.0))]
    cells += [make_cell(60.0, seed=seed) for seed in (0, 1, 2)]
    row = by_instruction(build_rows(cells))["original"]
    assert row.to_untuned is not None
    assert (row.to_untuned.value, row.to_untuned.seeds) == (35.0, 2)
    begun = [cells[0], make_cell(None, data_budget=0, seed=1), *cells[2:]]
    row = by_instruction(build_rows(begun))["original"]
    assert row.to_untuned is not None
    assert (row.to_untuned.value, row.to_untuned.seeds) == (40.0, 1), "one of them is not done yet"
    claim = parse_hypothesis("original exceeds untuned on exact_match")
    (contrast,) = contrasts(Trials(begun), claim.clauses[0], "original")
    assert not contrast.seedless
    pairing = pair(
        {seed: make_scores(60.0) for seed in (0, 1, 2)},
        {seed: make_scores(exact) for seed, exact in enumerate((20.0, 30.0))},
        "exact_match",
        seedless=True,
    )
    assert pairing is not None
    assert pairing.seeds == (0, 1)
    assert pairing.differences[:, 0].tolist() == [40.0, 30.0]


def test_the_reference_has_no_difference_to_itself():
    rows = by_instruction(build_rows([make_cell(60.0), make_cell(58.0, instruction="simplified")]))
    assert rows["original"].to_reference is None
    assert rows["simplified"].to_reference is not None


def test_unfinished_cells_are_counted_and_not_averaged():
    unfinished = [make_cell(None, seed=seed) for seed in (1, 2, 3)]
    unfinished[1] = replace(unfinished[1], state="failed")
    (row,) = build_rows([make_cell(60.0, seed=0), *unfinished])
    mean = row.mean("exact_match")
    assert mean is not None
    assert mean.seeds == 1
    assert row.unfinished == (("failed", 1), ("missing", 2))


def test_another_reference_can_be_named():
    cells = [make_cell(60.0), make_cell(58.0, instruction="simplified")]
    rows = by_instruction(build_rows(cells, reference="simplified"))
    assert rows["original"].to_reference is not None
    assert rows["original"].to_reference.value == pytest.approx(2.0)


def test_order_is_untuned_then_reference_then_the_others():
    cells = [
        make_cell(1.0, instruction="delusive"),
        make_cell(2.0),
        make_cell(3.0, data_budget=0),
    ]
    assert [r.setting.budget for r in build_rows(cells)] == [0, 8, 8]
    assert [r.setting.instruction for r in build_rows(cells)][1:] == ["original", "delusive"]
    assert [r.setting.instruction for r in build_rows(cells, "delusive")][1:] == ["delusive", "original"]


def test_an_untuned_model_is_compared_with_no_variant_of_its_test() -> None:
    """The table's difference to the reference is of training."""
    rows = build_rows(
        [
            make_cell(exact, tested=test, data_budget=0)
            for test, exact in (("original", 9.0), ("delusive", 3.0))
        ]
    )
    assert [(row.tested, row.to_reference, row.to_untuned) for row in rows] == [
        ("delusive", None, None),
        ("original", None, None),
    ]


def test_a_test_variant_is_compared_with_the_reference_tested_alike():
    cells = [
        make_cell(60.0, tested="delusive"),
        make_cell(50.0, tested="delusive", instruction="simplified"),
    ]
    row = by_instruction(build_rows(cells))["simplified"]
    assert row.to_reference is not None
    assert row.to_reference.value == pytest.approx(-10.0)


def test_baselines_are_called_by_their_name_and_the_untuned_model_untuned():
    untuned = make_cell(1.0, data_budget=0).setting
    assert (trained_on(untuned), budget_text(untuned)) == ("(untuned)", "-")
    assert trained_on(make_cell(1.0, data_budget=0, model="uniform_guess").setting) == "(uniform_guess)"
    assert (trained_on(make_cell(1.0).setting), budget_text(make_cell(1.0).setting)) == ("original", "8")


def test_what_is_left_out():
    assert left_out(Row) == {"uneven": False, "templates": 1}
