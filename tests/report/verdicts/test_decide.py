"""`plan --decide` as users type it: where variances come from, what is proposed, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from instruct_ablate.cell.state.identity import Contents, Identity, identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.grid.planning import probe as probing
from instruct_ablate.grid.planning.estimate import Estimate, Estimator
from instruct_ablate.grid.planning.plan import PlannedCell
from instruct_ablate.grid.speeds import Speed, Way
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.statistics.planned import Planned
from instruct_ablate.report.statistics.power import Aim
from instruct_ablate.report.statistics.variance.outcomes import unpaired_floor
from instruct_ablate.report.tables.differences import measured_designs
from instruct_ablate.report.verdicts.decide import claims, most_of, price_of
from instruct_ablate.schema import (
    BudgetConfig,
    EvaluationConfig,
    InstructionConfig,
    MethodConfig,
    ModelConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.report.cells import make_cell, make_scores
from tests.report.studies import small_study, write_study
from tests.standins import make_config

CLAIM = "hypotheses=['simplified equals original on rougeL within 20']"
EXCEEDS = "hypotheses=['simplified exceeds original on rougeL by 1']"
SPEED = {Way("tiny_llama", "full"): Speed(1000, 1.0, 100, 1.0, 2.0, 1)}


@pytest.fixture(autouse=True)
def _probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "probe", lambda cells, steps: SPEED)


def plan(folder: Path, *words: str) -> Result:
    grid = ("model=tiny_llama", "instruction=original,simplified", "data_budget=2", "logger=none", "--brief")
    here = (f"output={folder}", f"cache={folder / 'cache'}", "tasks.test_tasks=2", "tasks.test_instances=5")
    return CliRunner().invoke(group, ["plan", *grid, *here, *words], env={"COLUMNS": "160"})


def test_variances_of_an_earlier_study_of_the_claim(tmp_path: Path):
    pilot = small_study(tmp_path / "pilot")
    shown = plan(tmp_path, "seed=0,1", CLAIM, "--probe", "5", "--decide", "--from", str(pilot))
    assert shown.exit_code == 0, shown.output
    assert f"means of 2 comparisons of the claim itself in {pilot}" in shown.output
    assert "if the two are equal, Holm's correction for 1 place;" in shown.output
    assert "as asked: 2 seeds × 2 test tasks of 5 instances: 0:00:" in shown.output
    assert "proposed: " in shown.output
    assert "type: seed=0,1" in shown.output
    assert "\n    10: 0:00:" in shown.output


def test_a_comparison_that_two_studies_have_is_one(tmp_path: Path):
    """Before: a copy, or an archive unpacked beside its study, counted for as many comparisons again."""
    pilot = small_study(tmp_path / "pilot")
    copy = shutil.copytree(pilot, tmp_path / "copy")
    words = (CLAIM, "--probe", "5", "--decide", "--from", str(pilot), "--from", str(copy))
    assert f"means of 2 comparisons of the claim itself in {pilot}, {copy}" in plan(tmp_path, *words).output
    once = measured_designs([read_study(pilot)])
    assert measured_designs([read_study(pilot), read_study(copy)]) == once != []


def test_without_an_earlier_study_the_assumption_is_said(tmp_path: Path):
    shown = plan(tmp_path, "seed=0,1", CLAIM, "--probe", "5", "--decide")
    assert "ASSUMED, measured nowhere; run a pilot of 3 seeds" in shown.output


def test_comparisons_that_could_not_move_measure_nothing(tmp_path: Path):
    cells = [make_cell(0.0, seed=s, instruction=i) for s in (0, 1) for i in ("original", "simplified")]
    scores = make_scores(0.0, rouge=0.0)
    cells = [replace(c, blocks=tuple(replace(b, scores=scores) for b in c.blocks)) for c in cells]
    pilot = write_study(tmp_path / "pilot", cells)
    words = (CLAIM, "--probe", "5", "--decide", "--from", str(pilot))
    assert "ASSUMED, measured nowhere" in plan(tmp_path, *words).output


def test_another_claim_takes_the_variances_of_its_metric(tmp_path: Path):
    pilot = small_study(tmp_path / "pilot")
    claim = "hypotheses=['delusive exceeds original on rougeL by 1']"
    words = ("instruction=original,delusive", claim, "--probe", "5", "--decide", "--from", str(pilot))
    shown = plan(tmp_path, *words)
    assert "comparisons to the reference on rougeL, for none is of the claim itself" in shown.output
    assert "if the truth lies 2 points beyond" in shown.output


@pytest.mark.parametrize(
    ("claim", "truth", "stated"),
    [(CLAIM, 12, "if the two lie 12 points apart"), (EXCEEDS, 5, "if the truth lies 5 points beyond")],
)
def test_the_truth_that_power_is_for_can_be_stated(tmp_path: Path, claim: str, truth: int, stated: str):
    assert stated in plan(tmp_path, claim, "--probe", "5", "--decide", "--truth", str(truth)).output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--decide", "--probe", "5"), "the grid states no hypothesis"),
        (("--decide", CLAIM), "add --probe 20 for its speed"),
        (
            ("--decide", "--probe", "5", CLAIM.replace("simplified", "delusive")),
            "no planned cell is 'delusive'",
        ),
        (("--from", "x"), "--from goes with --decide"),
        (("--truth", "1"), "--truth goes with --decide"),
        (("--decide", "--probe", "5", CLAIM, "--truth", "20"), "from 0 to below its margin of 20"),
        (("--decide", "--probe", "5", CLAIM, "--truth", "nan"), "from 0 to below its margin of 20"),
        (("--decide", "--probe", "5", CLAIM, "--truth=-1"), "from 0 to below its margin of 20"),
        (("--decide", "--probe", "5", EXCEEDS, "--truth", "0"), "points above 0, beyond its bound"),
        (("--decide", CLAIM, "data_budget=0"), "the grid trains nothing"),
    ],
)
def test_what_cannot_be_decided_is_refused(tmp_path: Path, words: tuple[str, ...], fault: str):
    shown = plan(tmp_path, *words)
    assert shown.exit_code != 0
    assert fault in shown.output + str(shown.exception)


def test_a_metric_in_another_unit_is_not_planned_for():
    claim = "simplified equals original on reference_log_likelihood within 0.1"
    with pytest.raises(UserError, match="is in nats/token, and studies are planned for metrics in percent"):
        claims((claim,), "original", [], [])


def of_two_tasks(cell: CellRecord, logic: float, rewriting: float) -> CellRecord:
    """The cell with these values of ROUGE-L, on 100 and 25 instances."""
    (block,), scores = cell.blocks, make_scores(logic, rouge=rewriting)
    fewer = replace(scores.tasks[1], score=replace(scores.tasks[1].score, instances=25))
    return replace(cell, blocks=(replace(block, scores=replace(scores, tasks=(scores.tasks[0], fewer))),))


@pytest.mark.parametrize("variant", ["simplified", "empty"])
def test_what_a_claim_needs_is_the_mean_over_what_was_measured(tmp_path: Path, variant: str):
    """Of itself, and where it was not tried of the metric's other differences to the reference."""
    generator = np.random.default_rng(5)
    names = ("original", "simplified")
    values = {key: generator.uniform(20, 80, 2) for key in product((2, 8), (0, 1), names)}
    cells = [
        of_two_tasks(make_cell(0.0, seed=seed, instruction=name, data_budget=budget), *both)
        for (budget, seed, name), both in values.items()
    ]
    pilot = write_study(tmp_path / "pilot", cells[::-1])
    named = [
        make_cell(0.0, seed=seed, instruction=variant, data_budget=b) for b, seed in product((2, 8), (0, 1))
    ]
    planned = [Identity(c.identity, c.name, c.setting, c.seed, "", {}) for c in (*cells[::2], *named)]
    ends = ("within 9", "within 9 for 90 % of tasks", "by 1")
    verbs = ("equals", "equals", "exceeds")
    texts = [f"{variant} {verb} original on rougeL {end}" for verb, end in zip(verbs, ends, strict=True)]
    mean, share, exceeds = claims(texts, "original", planned, [pilot])

    parts = []
    for budget in (2, 8):
        right, left = (np.array([values[budget, seed, name] for seed in (0, 1)]) for name in names)
        own = left - right
        by_seed, by_task = own.mean(axis=1), own.mean(axis=0)
        rest = ((own - by_seed[:, None] - by_task + own.mean()) ** 2).sum()
        seed, task = (
            max(0.0, 2 * one.var(ddof=1) - rest) / 2 for one in (by_seed, by_task)
        )  # F(1, 1) has median 1
        noise = unpaired_floor(left.mean(axis=0), right.mean(axis=0), np.array([100.0, 25.0]))
        parts.append((seed, task, rest, 2 * noise.variance))
    expected = np.mean(parts, axis=0)
    assert all(expected > 0)
    for one in (mean, share, exceeds):
        design = one.need.design
        found = (design.parts.seed, design.parts.unit, design.parts.rest, design.floor)
        assert found == pytest.approx(tuple(expected))
        assert one.need.instances == pytest.approx(2 / (1 / 100 + 1 / 25))
        assert (one.places, one.source.startswith("means of 2 comparisons")) == (2, True)
    assert mean.need.aim == Aim("equals", 9.0, 0.0, 0.05 / 2)
    assert (share.need.aim, share.need.least_tasks) == (None, 29)  # 0.9 to the power of 29 is below 0.05
    assert exceeds.need.aim == Aim("exceeds", 1.0, 3.0, 0.05 / 2)


def test_the_most_is_what_half_of_the_test_tasks_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tasks = tuple(make_task(str(count), count) for count in (50, 3, 9, 20))
    monkeypatch.setattr(
        "instruct_ablate.report.verdicts.decide.read_tasks", lambda *_: TaskCollection("t", (), tasks, "")
    )
    cell = Cell((), make_config(tmp_path), Identity("", "", make_cell(1.0).setting, 0, "", {}))
    assert most_of([PlannedCell(cell, "missing", Estimate(0, 0, 0, 0, 0, 0.0), True)]) == Planned(20, 4, 20)


MEASURED = {
    Way("tiny_llama", "full"): Speed(1000, 2.0, 100, 5.0, 6.0, 2),
    Way("tiny_llama", "lora"): Speed(1000, 1.0, 100, 45.0, 6.0, 3),
}


def planned_cells(
    folder: Path, estimator: Estimator, instances: int = 5, **changes: Any
) -> list[PlannedCell]:
    """Two seeds of two variants by two methods, an untuned model and a baseline, each tested twice by two templates."""
    shown = EvaluationConfig(["same", "delusive", "original"], **changes)
    base = make_config(
        folder,
        tasks=TasksConfig("starter", test_tasks=3, test_instances=instances),
        data_budget=BudgetConfig(2, tasks=4),
        trainer=TrainerConfig(batch_size=4, epochs=3),
        prompt=PromptConfig("plain+set_12/bars"),
        evaluation=shown,
    )
    trained = [
        replace(base, instruction=InstructionConfig(variant), method=MethodConfig(method), seed=seed)
        for variant, method, seed in product(("original", "empty"), ("full", "lora"), (0, 1))
    ]
    baseline = replace(base, model=ModelConfig("majority", source="baseline"))
    contents = Contents()
    every = [*trained, replace(base, data_budget=BudgetConfig(0)), baseline]
    return [
        PlannedCell(Cell((), one, identify(one, contents)), "missing", estimator.estimate(one), True)
        for one in every
    ]


@pytest.mark.parametrize(
    "beside",
    [{}, {"at": [0.5, 1.0], "at_instances": 4}, {"general": {"reader": "everyday", "test_tasks": 1}}],
    ids=["tests alone", "while training", "general ability"],
)
def test_a_price_is_what_the_cells_take_at_this_size_and_at_another(
    tmp_path: Path, beside: dict[str, Any]
) -> None:
    """Before: what is predicted beside the tests cost nothing, and a test took the mean over all methods."""
    estimator = Estimator(MEASURED)
    price = price_of(planned_cells(tmp_path, estimator, **beside), estimator)
    for instances in (5, 8):
        cells = planned_cells(tmp_path, estimator, instances, **beside)
        seconds = sum(one.estimate.seconds or 0.0 for one in cells)
        assert price.of(Planned(2, 3, instances)) == pytest.approx(seconds)
    once = [one for one in cells if one.cell.identity.setting.untuned]
    assert price.of(Planned(4, 3, 8)) == pytest.approx(
        2 * seconds - sum(one.estimate.seconds or 0.0 for one in once)
    )
