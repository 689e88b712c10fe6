"""Seeds that are no repetitions: of the same answers, or of tests on other tasks and instances."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.figures.paper import groups_caption, main_caption
from instruct_ablate.report.rows.repetitions import tested_alike as alike_tests
from instruct_ablate.report.rows.seed_means import Row, build_rows
from instruct_ablate.report.rows.trials import Trial, Trials, without_clashes
from instruct_ablate.report.statistics.looks import Looks
from instruct_ablate.report.tables.differences import difference_caption, differences
from instruct_ablate.report.tables.pivot import pivot_table
from instruct_ablate.report.tables.tables import main_table
from instruct_ablate.report.tables.terminal_table import caption, draw_line, unfinished
from instruct_ablate.report.verdicts.verdicts import details, judge
from instruct_ablate.scores import Score, Scores
from tests.report.cells import make_cell, make_scores
from tests.report.rows.test_seed_means import ONE, scored, with_scores

COPY = "copy_demonstration"
ONCE = "ounted as one repetition, for whatever the seed the answers are the same"


def copies(
    tested: str = "original", seeds: int = 2, exact: float = 43.5, rouge: float = 40.0
) -> list[CellRecord]:
    """Copies of fixed examples: a cell a seed, and the same answers in each."""
    cells = [make_cell(exact, tested, seed, model=COPY, data_budget=0) for seed in range(seeds)]
    return [with_scores(cell, make_scores(exact, rouge)) for cell in cells]


def of_file(cell: CellRecord, sha256: str = "f1") -> CellRecord:
    """The cell with this checksum of its predictions."""
    return replace(cell, blocks=tuple(replace(block, sha256=sha256) for block in cell.blocks))


def with_first_word(score: Score) -> Score:
    return replace(score, values=(*score.values, ("first_word", 12.5)))


def imported(seed: int, exact: float = 50.0, sha256: str = "f1", budget: int = 0) -> CellRecord:
    cell = make_cell(exact, "original", seed, model="api", method="imported", data_budget=budget)
    return of_file(cell, sha256)


def only(cells: list[CellRecord]) -> Row:
    (row,) = build_rows(cells)
    return row


def test_copies_of_fixed_examples_are_one_repetition_in_every_table() -> None:
    """Before: 43.50 ± 0.00 over 2 seeds."""
    row = only(copies())
    found = row.mean("exact_match")
    assert found is not None
    assert (found.value, found.deviation, found.seeds) == (43.5, None, 1)
    assert (row.seeds, row.same) == ((0,), (0, 1))
    assert "±" not in str(main_table([row], "original").lines)
    assert "±" not in str(pivot_table(copies(), "task").lines)
    said = f"{ONCE}: ({COPY}) tested on original (seeds 0, 1)."
    assert said in caption([row])
    assert said in main_caption("study", [row], ("exact_match",))


def test_a_repetition_with_a_further_metric_is_still_one() -> None:
    """Before: 43.50 ± 0.00 over 2 seeds, since one of them had a score more."""
    first, second = copies()
    (block,) = second.blocks
    more = Scores(
        *(with_first_word(one) for one in (block.scores.overall, block.scores.task_mean)),
        tuple(map(with_first_word, block.scores.kinds)),
        tuple(map(with_first_word, block.scores.categories)),
        tuple(replace(task, score=with_first_word(task.score)) for task in block.scores.tasks),
    )
    cells = [first, with_scores(second, more)]
    row = only(cells)
    assert (row.seeds, row.same) == ((0,), (0, 1))
    exact = row.mean("exact_match")
    assert exact is not None
    assert (exact.value, exact.deviation, exact.seeds) == (43.5, None, 1)
    counted = Trials(cells).counted(Trial(first.setting, "original"))
    assert {seed: scores.overall.get("first_word") for seed, scores in counted.items()} == {0: 12.5}
    other = with_scores(second, make_scores(44.0))
    assert only([first, other]).same == ()


def test_what_has_no_deviation_is_told_beside_what_has_one() -> None:
    rows = build_rows([*copies(), make_cell(50.0), make_cell(52.0, seed=1)])
    assert "over 2 seeds; without ± a single cell or repetition" in caption(rows)
    alone = build_rows([*copies(seeds=1), make_cell(50.0), make_cell(52.0, seed=1)])
    assert "without ± a single cell;" in caption(alone)


def test_a_test_that_no_seed_draws_beside_one_that_is_drawn() -> None:
    """The cells of an untuned model have seeds for the other's sake."""
    cells = [make_cell(20.0, "original", seed, data_budget=0) for seed in (0, 1)]
    row = only(cells)
    assert (row.seeds, row.same) == ((0,), (0, 1))
    trained = build_rows([*cells, make_cell(60.0, seed=2)])[-1]
    assert trained.to_untuned is not None, "it stands for seed 2, too"
    assert trained.to_untuned.value == 40.0


def test_what_the_seed_draws_counts_as_long_as_its_answers_differ() -> None:
    cells = [make_cell(20.0, "random_labels", seed, data_budget=0) for seed in (0, 1)]
    apart = only([of_file(cell, f"f{cell.seed}") for cell in cells])
    assert (apart.seeds, apart.same) == ((0, 1), ())
    assert only(cells).same == (), "early records do not know"
    same = only([of_file(cell) for cell in cells])
    assert (same.seeds, same.same, draw_line([same])) == ((0,), (0, 1), None)


def test_other_scores_are_never_the_same_answers() -> None:
    cells = [*copies(seeds=1), make_cell(44.0, "original", 1, model=COPY, data_budget=0)]
    assert only(cells).seeds == (0, 1)


def test_a_comparison_of_such_rows_has_one_repetition() -> None:
    cells = [*copies(), *copies("delusive", exact=30.0, rouge=35.0)]
    (found,) = (one for one in differences(cells, "original") if one.metric == "rougeL")
    assert (found.comparison.seeds, found.comparison.seeds_from, found.pairing.same) == (1, "none", (0, 1))
    assert "In some, seeds 0, 1 have the same answers: one repetition." in difference_caption([found])


def test_rows_that_no_seed_changes_measure_no_seeds_for_others() -> None:
    """Before: a variance of zero over their seeds stood in for that of a trained setting with one seed."""
    cells = [*copies(seeds=6), *copies("delusive", seeds=6, exact=30.0, rouge=35.0)]
    cells += [make_cell(60.0), make_cell(40.0, instruction="simplified")]
    found = {one.trial.setting.model: one for one in differences(cells, "original") if one.metric == "rougeL"}
    assert found["tiny"].comparison.seeds_from == "left out"


@pytest.mark.parametrize("budget", [0, 8])
def test_one_file_imported_for_several_seeds_is_one_repetition(budget: int) -> None:
    cells = [imported(seed, budget=budget) for seed in (0, 1, 2)]
    row = only(cells)
    assert (row.seeds, row.same) == ((0,), (0, 1, 2))
    assert only([imported(0, budget=budget), imported(1, sha256="f2", budget=budget)]).seeds == (0, 1)


def test_one_file_of_a_trained_model_is_one_seed_in_verdicts_and_at_looks() -> None:
    other = [replace(one, setting=one.setting.changed(model="api2")) for one in map(imported, (0, 1, 2))]
    cells = [of_file(imported(seed, 90.0, budget=8), "f9") for seed in (0, 1, 2)]
    cells += [
        replace(one, setting=cells[0].setting.changed(model="api2"), blocks=other[0].blocks) for one in cells
    ]
    claim = parse_hypothesis("model=api exceeds model=api2 on rougeL by 5")
    for looks in (None, Looks(5)):
        (verdict,) = judge(cells, [claim], "original", looks=looks)
        (finding,) = verdict.findings
        assert (verdict.answer, finding.ruling.reason, finding.comparison.seeds) == (
            "undecided",
            "one seed",
            1,
        )
        line = next(iter(details(verdict)))
        assert "; seeds 0, 1, 2 have the same answers: one repetition;" in line
        assert "further seeds that answer alike decide nothing" in line


def test_one_repetition_is_held_against_the_first_seed_that_both_have() -> None:
    """Before: the row had no difference where the reference lacks the first seed, and the table of differences one."""
    cells = [imported(seed, 60.0, budget=8) for seed in (0, 1, 2)]
    cells = [replace(one, setting=one.setting.changed(instruction="simplified")) for one in cells]
    cells += [imported(seed, 40.0 + seed, f"g{seed}", budget=8) for seed in (1, 2)]
    (found,) = (row.to_reference for row in build_rows(cells) if row.setting.instruction == "simplified")
    assert found is not None
    assert (found.value, found.deviation, found.seeds) == (19.0, None, 1)


def test_trained_cells_of_the_same_answers_are_repetitions_and_it_is_said() -> None:
    cells = [of_file(make_cell(50.0, seed=seed)) for seed in (0, 1)]
    row = only(cells)
    assert (row.seeds, row.same) == ((0, 1), (0, 1))
    assert "rained apart, with the same answers to every instance in each seed: " in caption([row])
    assert only([of_file(cell, f"f{cell.seed}") for cell in cells]).same == ()


def test_rows_are_named_by_what_tells_them_apart_in_the_table() -> None:
    """Before: of a row of full and one of lora both were "original tested on original"."""
    cells = [of_file(make_cell(50.0, seed=seed, method="lora")) for seed in (0, 1)]
    cells += [make_cell(50.0, seed=seed, method="full") for seed in (0, 1)]
    said = caption(build_rows(cells))
    assert "answers to every instance in each seed: original, lora tested on original (seeds 0, 1)." in said
    untuned = [make_cell(50.0, "random_labels", model=name, data_budget=0) for name in ("tiny", "other")]
    line = str(draw_line(build_rows(untuned)))
    assert "(untuned), tiny tested on random_labels" in line
    assert "(untuned), other tested on random_labels" in line


def test_templates_are_held_against_themselves() -> None:
    def twice(seed: int, files: tuple[str, str]) -> CellRecord:
        cell = imported(seed)
        blocks = (
            replace(cell.blocks[0], sha256=file, key=replace(cell.blocks[0].key, template=name))
            for file, name in zip(files, ("plain", "alpaca"), strict=True)
        )
        return replace(cell, blocks=tuple(blocks))

    assert only([twice(0, ("f", "g")), twice(1, ("f", "g"))]).same == (0, 1)
    assert only([twice(0, ("f", "g")), twice(1, ("g", "f"))]).same == ()


def parts() -> list[CellRecord]:
    """Two seeds of one setting, each tested on a task of its own."""
    return [with_scores(imported(seed), scored(**{name: ONE})) for seed, name in enumerate("ab")]


def test_seeds_that_were_tested_on_other_tasks_have_no_mean() -> None:
    """Before: a mean over the first one's task and the second one's."""
    cells = parts()
    row = only(cells)
    assert (row.means, row.uneven, row.seeds) == ((), True, ())
    assert unfinished(row) == f"other tests: {cells[0].name} and {cells[1].name}"
    assert (
        "seeds of one setting, not tested on the same tasks and as many instances, so there is no"
        in caption([row])
    )
    assert "clash:" not in caption([row])
    assert without_clashes(cells) == []
    assert pivot_table(cells, "task").lines == ()
    left_out = "Left out, for they are seeds of one setting, not tested on the same tasks and as many instances: (api)"
    assert left_out in groups_caption([row])
    assert "Left out" not in groups_caption([only(copies())])
    assert Trials(cells, keep_clashes=True).scores[Trial(cells[0].setting, "original")].keys() == {0, 1}


def test_a_verdict_says_why_such_rows_are_not_judged() -> None:
    cells = [*parts(), with_scores(make_cell(70.0, data_budget=0), scored(a=ONE))]
    claim = parse_hypothesis("model=api exceeds model=tiny on exact_match by 5")
    (verdict,) = judge(cells, [claim], "original")
    assert verdict.answer == "no data"
    assert "not tested on the same tasks and as many instances: move those that" in "".join(verdict.open)


def test_cells_that_are_not_done_are_tested_on_nothing_else() -> None:
    whole = scored(a=ONE)
    assert alike_tests([whole, replace(whole, tasks=())])
    assert not alike_tests([whole, scored(a=("classification", 9, 60.0, 60.0))])
