"""Verdicts: supported, refuted and undecided come out where they should, with what would decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.metrics import Scores, TaskScore
from instruct_ablate.report.closing import verdict_words
from instruct_ablate.report.verdicts.sentences import sentence
from instruct_ablate.report.verdicts.verdicts import Verdict, judge, lines
from tests.report.cells import make_cell
from tests.scored import score

TASKS = 30
INSTANCES = 10_000  # single scores are not at hand here, so their noise is taken as that of unpaired ones


def with_tasks(cell: CellRecord, values: np.ndarray) -> CellRecord:
    """Give a cell classification tasks with these exact matches."""
    tasks = tuple(
        TaskScore("classification", "Logic", score(f"t{i}", INSTANCES, float(v), 0.0, float(v), 100.0, 50.0))
        for i, v in enumerate(values)
    )
    block = cell.blocks[0]
    scores = Scores(block.scores.overall, block.scores.task_mean, (), (), tasks)
    return replace(cell, blocks=(replace(block, scores=scores),))


def study(shift: float, noise: float, seeds: int = 3) -> list[CellRecord]:
    generator = np.random.default_rng(0)
    base = generator.uniform(60, 90, TASKS)
    cells = []
    for seed in range(seeds):
        original = base + generator.normal(0, 1, TASKS)
        changed = original + shift + generator.normal(0, noise, TASKS)
        cells.append(with_tasks(make_cell(1.0, seed=seed), original))
        cells.append(with_tasks(make_cell(1.0, seed=seed, instruction="simplified"), changed))
    return cells


def answer(cells, text: str = "simplified equals original on exact_match within 2 points") -> Verdict:
    return judge(cells, [parse_hypothesis(text)], "original")[0]


def test_equal_within_the_margin_is_supported():
    verdict = answer(study(0.1, 0.5))
    assert verdict.answer == "supported"
    (finding,) = verdict.findings
    assert (finding.comparison.seeds, finding.comparison.units) == (3, TASKS)


def test_far_outside_is_refuted():
    assert answer(study(-8.0, 1.0)).answer == "refuted"


def test_tasks_that_one_side_alone_was_tested_on_are_named():
    """Of a mixture the content says nothing of which parts are tested, and predictions made elsewhere do not know."""
    cells = study(0.1, 0.5)
    assert not any("left out" in line for line in lines([answer(cells)]))
    every = np.array([task.score.get("exact_match") for task in cells[0].blocks[0].scores.tasks])
    own = [place for place, cell in enumerate(cells) if cell.setting == cells[0].setting]
    for place in own:
        cells[place] = with_tasks(cells[place], every[:-5])
    (finding,) = answer(cells).findings
    assert finding.comparison.units == TASKS - 5
    (line,) = (line for line in lines([answer(cells)]) if "left out" in line)
    assert "left out, for not both sides have them on as many instances: t25, t26, t27 and 2 more" in line


def test_cells_of_the_same_rows_in_another_order_are_never_held_against_each_other():
    """Doubled rows are told apart by their place, so that ids of two orders are not the same rows'."""
    cells = study(0.1, 0.5)
    moved = [
        replace(cell, setting=replace(cell.setting, revisions=(("tasks", content),)))
        for cell, content in zip(cells, ("one order", "another") * 3, strict=True)
    ]
    assert answer(moved).answer == "no data"
    alike = [replace(cell, setting=replace(cell.setting, revisions=(("tasks", "one"),))) for cell in cells]
    assert answer(alike).answer == "supported"


def test_noise_leaves_it_undecided_and_says_what_would_decide():
    verdict = answer(study(0.0, 20.0))
    assert verdict.answer == "undecided"
    tasks = verdict.findings[0].needed.tasks
    assert tasks is None or tasks > TASKS


def test_exceeds_and_is_lower():
    cells = study(6.0, 1.0)
    assert answer(cells, "simplified exceeds original on exact_match by 5").answer == "supported"
    assert answer(cells, "original exceeds simplified on exact_match by 0").answer == "refuted"
    assert answer(cells, "original is lower than simplified on exact_match").answer == "supported"
    assert answer(cells, "simplified is lower than original on exact_match").answer == "refuted"


def beside_untuned(seeds: int, **more: object) -> list[CellRecord]:
    """Trained cells of so many seeds, some 20 points above the untuned model, which has one cell."""
    generator = np.random.default_rng(1)
    base = generator.uniform(30, 40, TASKS)
    trained = [
        with_tasks(make_cell(1.0, seed=seed), base + 20 + generator.normal(0, 1, TASKS))
        for seed in range(seeds)
    ]
    return [*trained, with_tasks(make_cell(1.0, data_budget=0, **more), base)]  # type: ignore[arg-type]


def test_the_side_without_seeds_may_stand_first_and_the_difference_keeps_its_sign():
    cells = beside_untuned(3)
    by_claim = {
        "original exceeds untuned on exact_match by 5": ("supported", 20.0),
        "untuned is lower than original on exact_match by 5": ("supported", -20.0),
        "untuned exceeds original on exact_match by 5": ("refuted", -20.0),
    }
    for text, (expected, mean) in by_claim.items():
        verdict = answer(cells, text)
        (finding,) = verdict.findings
        assert verdict.answer == expected, text
        assert abs(finding.comparison.mean - mean) < 1


def test_one_trained_seed_beside_what_has_none_is_one_seed_still():
    (finding,) = answer(beside_untuned(1), "original exceeds untuned on exact_match by 5").findings
    assert (finding.comparison.seeds_from, finding.answer) == ("left out", "undecided")


def test_an_untuned_model_beside_a_baseline_has_no_seeds_to_be_unknown():
    cells = [
        beside_untuned(0)[0],
        with_tasks(make_cell(1.0, model="uniform_guess", data_budget=0), np.full(TASKS, 20.0)),
    ]
    (finding,) = answer(cells, "untuned exceeds uniform_guess on exact_match by 5").findings
    assert (finding.comparison.seeds_from, finding.answer) == ("none", "supported")


def test_every_place_counts():
    cells = study(0.0, 0.3)
    other = [replace(c, setting=c.setting.changed(data_budget=20)) for c in study(-9.0, 0.3)]
    verdict = answer([*cells, *other])
    assert {f.place: f.answer for f in verdict.findings} == {
        "tiny, budget 8": "supported",
        "tiny, budget 20": "refuted",
    }
    assert verdict.answer == "refuted"


def test_nothing_to_compare_is_no_data():
    assert answer([make_cell(50.0)]).answer == "no data"
    assert answer([]).answer == "no data"


CLAIM = parse_hypothesis("simplified equals original on exact_match within 2 points")


def test_a_supported_claim():
    first, second, *_ = lines(judge(study(0.1, 0.5), [CLAIM], "original"))
    assert first.startswith("✓ supported: simplified equals original")
    assert "tiny, budget 8: supported; exact_match +0." in second
    assert "3 seeds, 30 tasks" in second


def test_an_open_claim_says_what_would_decide():
    _, second, *_ = lines(judge(study(0.0, 20.0), [CLAIM], "original"))
    assert "undecided" in second
    assert "would be decided by" in second or "neither 200 seeds nor 5,000 test tasks" in second


def test_no_data():
    first, second, *_ = lines(judge([], [CLAIM], "original"))
    assert first == f"- no data: {CLAIM.text}"
    assert second.strip() == "nothing is done yet"


def test_one_seed_decides_nothing():
    """Before: the seeds' variance was zero without a word, and "equal" came false in up to 28 %."""
    verdict = answer(study(0.1, 0.5, seeds=1))
    assert verdict.answer == "undecided"
    _, line, *_ = lines([verdict])
    assert "undecided (one seed)" in line
    assert "leaves out how seeds vary" in line
    assert "run two more seeds" in line


def test_one_seed_takes_the_variance_of_other_settings_with_enough_seeds():
    cells = study(0.1, 0.3, seeds=1)
    for budget in (16, 32, 64, 128):
        cells += [replace(c, setting=c.setting.changed(data_budget=budget)) for c in study(0.1, 0.3)]
    verdict = answer(cells)
    alone = next(finding for finding in verdict.findings if finding.comparison.seeds == 1)
    assert alone.comparison.seeds_from == "pooled"
    assert alone.answer == "supported"
    assert any("pooled over the study's other settings" in line for line in lines([verdict]))


def levelled(left: float, right: float, seeds: int = 3) -> list[CellRecord]:
    cells = []
    for seed in range(seeds):
        cells.append(with_tasks(make_cell(1.0, seed=seed), np.full(TASKS, left)))
        cells.append(with_tasks(make_cell(1.0, seed=seed, instruction="simplified"), np.full(TASKS, right)))
    return cells


def test_two_sides_where_nothing_moves_are_never_equal():
    """Before: two models at 0 % exact match were "equal, p < 0.001"."""
    for level in (0.0, 50.0, 100.0):
        verdict = answer(levelled(level, level))
        assert verdict.answer == "uninformative"
    assert next(lines([verdict])).startswith("~ uninformative")
    assert answer(levelled(0.0, 100.0)).answer == "refuted"


def test_two_sides_that_training_has_not_moved_are_never_equal():
    untuned = with_tasks(make_cell(1.0, data_budget=0, tested="original"), np.full(TASKS, 70.0))
    verdict = answer([*levelled(70.0, 70.0), untuned])
    assert verdict.answer == "uninformative"
    assert "both sides stand at the untuned model's score" in list(lines([verdict]))[1]
    assert answer(levelled(70.0, 70.0)).answer == "supported"


def drawn_levels(*untuned: int) -> list[CellRecord]:
    """Three seeds, each where the untuned model stands that is shown its examples; so many of these are done."""
    cells = []
    for seed, level in enumerate((40.0, 60.0, 80.0)):
        for variant in ("original", "random_labels"):
            cells.append(with_tasks(make_cell(1.0, seed=seed, instruction=variant), np.full(TASKS, level)))
        if seed in untuned:
            one = make_cell(1.0, "random_labels", seed=seed, data_budget=0)
            cells.append(with_tasks(one, np.full(TASKS, level)))
    return cells


def test_each_seed_is_held_beside_the_untuned_model_of_its_own_draw():
    """Before: all seeds beside the first one's draw, from which their mean is far away."""
    claim = "random_labels equals original on exact_match within 5"
    assert answer(drawn_levels(0, 1, 2), claim).answer == "uninformative"
    assert answer(drawn_levels(1), claim).answer == "uninformative", "the draws that there are"
    assert answer(drawn_levels(0), claim).answer == "supported"
    assert answer(drawn_levels(), claim).answer == "supported"
    verdict = answer(drawn_levels(0, 1, 2), claim)
    assert "both sides stand at the untuned model's score" in list(lines([verdict]))[1]


def test_an_untuned_model_is_no_support():
    cells = [
        with_tasks(make_cell(1.0, data_budget=0, tested=tested), np.full(TASKS, 70.0))
        for tested in ("original", "delusive")
    ]
    claim = "delusive equals original on exact_match within 2 at test"
    verdict = answer([*cells, make_cell(None)], claim)
    assert verdict.answer == "uninformative"
    assert "neither side was trained" in list(lines([verdict]))[1]
    tuned = [replace(cell, setting=replace(cell.setting, tuned=True)) for cell in cells]
    assert answer([*tuned, make_cell(None)], claim).answer == "supported", "others have trained it"
    assert answer(cells, claim).answer == "supported", (
        "nothing is trained: the claim is of models as they come"
    )


def test_single_tasks_have_a_claim_of_their_own():
    text = "simplified equals original on exact_match within 2 for 90 % of tasks"
    assert answer(study(0.0, 0.3), text).answer == "supported"
    assert answer(study(0.0, 5.0), text).answer == "refuted"


def test_a_finding_says_what_it_rests_on():
    _, line, *_ = lines([answer(study(0.1, 0.5))])
    assert "30 of 30 tasks within 2" in line
    assert "this design finds a difference of" in line
    assert "vulnerable: up to 9.5 % of tasks could be unlike the 30 drawn" in line
    assert "taken as unpaired" in line


def elsewhere(cells: list[CellRecord]) -> list[CellRecord]:
    return [replace(cell, setting=cell.setting.changed(data_budget=20)) for cell in cells]


def test_places_that_say_nothing_leave_the_answer_to_the_others():
    silent = elsewhere(levelled(0.0, 0.0))
    assert answer(silent).answer == "uninformative"
    assert answer([*study(0.1, 0.5), *silent]).answer == "supported"
    assert answer([*study(0.0, 20.0), *silent]).answer == "undecided"
    assert answer([*study(-8.0, 1.0), *silent]).answer == "refuted"
    assert answer([*study(0.1, 0.5), *elsewhere(study(0.0, 20.0))]).answer == "undecided"


def test_a_clause_that_says_nothing_anywhere_is_not_made_up_for_by_another():
    both = "simplified equals original on exact_match within 2 points; simplified equals original on rougeL within 2"
    cells = [
        replace(
            cell,
            blocks=(
                replace(
                    block, scores=replace(block.scores, tasks=tuple(map(without_rouge, block.scores.tasks)))
                ),
            ),
        )
        for cell in study(0.1, 0.5)
        for block in cell.blocks
    ]
    still = both.replace("rougeL", "rouge1")  # which is 0 on both sides
    assert [finding.answer for finding in answer(study(0.1, 0.5), still).findings] == [
        "supported",
        "uninformative",
    ]
    assert answer(study(0.1, 0.5), still).answer == "uninformative"
    assert answer(study(-8.0, 1.0), still).answer == "refuted"
    verdict = answer(cells, both)
    assert verdict.answer == "no data"
    assert verdict.open == ("no task that both sides were tested on has rougeL",)
    assert [finding.answer for finding in verdict.findings] == ["supported"]


def without_rouge(task: TaskScore) -> TaskScore:
    values = tuple(pair for pair in task.score.values if not pair[0].startswith("rouge"))
    return replace(task, score=replace(task.score, values=values))


def test_a_side_that_clashes_is_said_to_and_not_to_be_missing() -> None:
    """Before: "no done cells of simplified and original", or "no done cell is 'simplified'"."""
    cells = study(0.1, 0.5)
    twice = replace(cells[1], identity="again", name="again")
    verdict = answer([*cells, twice])
    assert verdict.answer == "no data"
    (why,) = verdict.open
    assert why == (
        f"tiny, budget 8: not judged, for again and {cells[1].name} are the same setting with the same seed: "
        "move all but one of a seed out of the study"
    )
    assert f"    {why}" in list(lines([verdict]))
    assert why in sentence(verdict)


def test_a_place_that_clashes_is_named_beside_those_that_are_judged() -> None:
    cells = study(0.1, 0.5)
    elsewhere = [replace(one, setting=one.setting.changed(data_budget=20)) for one in study(0.1, 0.5)]
    verdict = answer([*cells, *elsewhere, replace(elsewhere[0], identity="again", name="again")])
    assert (verdict.answer, len(verdict.findings), verdict.open) == ("supported", 1, ())
    (left,) = verdict.left_out
    assert left.startswith(
        f"tiny, budget 20: not judged, for again and {elsewhere[0].name} are the same setting"
    )
    assert left in "\n".join(lines([verdict]))
    assert f"    {left}" in list(verdict_words(verdict)), "the end of a sweep says it as well"
    assert answer([*cells, *elsewhere]).left_out == ()


def test_an_untuned_model_that_clashes_is_said_to_be_no_level() -> None:
    cells = beside_untuned(3)
    untuned = next(cell for cell in cells if cell.setting.untuned)
    changed = [
        replace(cell, setting=cell.setting.changed(instruction="simplified"), identity=f"s{cell.seed}")
        for cell in cells
        if not cell.setting.untuned
    ]
    both = [*cells, *changed]
    text = "simplified equals original on exact_match within 2 at training"
    assert answer(both, text).left_out == ()
    (left,) = answer([*both, replace(untuned, identity="again", name="again")], text).left_out
    assert "not held beside the untuned model, for" in left
