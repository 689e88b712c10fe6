"""Verdicts: supported, refuted and undecided come out where they should, with what would decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.metrics import Scores, TaskScore
from instruct_ablate.report.verdicts import Verdict, judge, lines
from tests.report.cells import make_cell
from tests.scored import score

TASKS = 30


def with_tasks(cell: CellRecord, values: np.ndarray) -> CellRecord:
    """Give a cell classification tasks with these exact matches."""
    tasks = tuple(
        TaskScore("classification", "Logic", score(f"t{i}", 100, float(v), 0.0, float(v), 100.0, 50.0))
        for i, v in enumerate(values)
    )
    block = cell.blocks[0]
    scores = Scores(block.scores.overall, block.scores.task_mean, (), (), tasks)
    return replace(cell, blocks=(replace(block, scores=scores),))


def study(shift: float, noise: float, seeds: int = 3) -> list[CellRecord]:
    generator = np.random.default_rng(0)
    base = generator.uniform(30, 70, TASKS)
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


def test_noise_leaves_it_undecided_and_says_what_would_decide():
    verdict = answer(study(0.0, 20.0, seeds=1))
    assert verdict.answer == "undecided"
    tasks = verdict.findings[0].needed.tasks
    assert tasks is None or tasks > TASKS


def test_exceeds_and_is_lower():
    cells = study(6.0, 1.0)
    assert answer(cells, "simplified exceeds original on exact_match by 5").answer == "supported"
    assert answer(cells, "original exceeds simplified on exact_match by 0").answer == "refuted"
    assert answer(cells, "original is lower than simplified on exact_match").answer == "supported"
    assert answer(cells, "simplified is lower than original on exact_match").answer == "refuted"


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
    first, second = lines(judge(study(0.1, 0.5), [CLAIM], "original"))
    assert first.startswith("✓ supported: simplified equals original")
    assert "tiny, budget 8: supported; exact_match +0." in second
    assert "3 seeds, 30 tasks" in second


def test_an_open_claim_says_what_would_decide():
    _, second = lines(judge(study(0.0, 20.0, seeds=1), [CLAIM], "original"))
    assert "undecided" in second
    assert "would be decided by" in second or "neither 200 seeds nor 5,000 test tasks" in second


def test_no_data():
    first, second = lines(judge([], [CLAIM], "original"))
    assert first == f"- no data: {CLAIM.text}"
    assert second.strip() == "nothing is done yet"
