"""Template sets in a report, recomputed by hand from the prediction files of two variants, templates and seeds."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from instruct_ablate.cell.mirror.score_keys import block_scores, flat_scores, main_scores
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.grid.study import read_study
from instruct_ablate.instruction.context import hashed
from instruct_ablate.prompt.prompt import Prediction
from instruct_ablate.report.as_json import report_fields
from instruct_ablate.report.frames import StudyFrames
from instruct_ablate.report.report import judge_study, write_report
from instruct_ablate.report.rows.trials import Trial
from instruct_ablate.report.show import Selection, select_rows
from instruct_ablate.report.tables.template_table import OverTemplates, over_templates
from instruct_ablate.schema import (
    BudgetConfig,
    InstructionConfig,
    PromptConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.report.cells import place
from tests.standins import make_config

TEMPLATES, VARIANTS, SEEDS = ("plain", "set_12/bars"), ("original", "simplified"), (0, 1)
Rows = dict[tuple[str, str, int], list[dict[str, Any]]]  # by variant, template, seed


def answers(checkpoint: Any, prompts: Any, config: Any, finished: Any, *more: Any) -> Iterator[Prediction]:
    """Stand in for the model: right as often as variant, template, seed and task make it."""
    for prompt in prompts:
        place = (config.instruction.definition, config.prompt.template, config.seed)
        often = 3 + hashed(prompt.task) % 4 + hashed(*place) % 3 + 2 * (config.prompt.template == "plain")
        right = hashed(*place, prompt.task, prompt.instance_id) % 10 < often
        yield Prediction(prompt, prompt.references[0] if right else "something else")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real cells, but for their answers."""
    folder = tmp_path_factory.mktemp("sets")
    trainer = TrainerConfig(batch_size=4, precision="fp32", accelerator="cpu", progress=False, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("instruct_ablate.model.decoding.predict.predict", answers)
        for variant, seed in product(VARIANTS, SEEDS):
            config = make_config(
                folder,
                tasks=TasksConfig("starter", test_tasks=5, test_instances=6),
                instruction=InstructionConfig(variant),
                data_budget=BudgetConfig(1, tasks=1),
                prompt=PromptConfig("+".join(TEMPLATES), 512, 6),
                trainer=trainer,
                seed=seed,
            )
            record = run_cell(config)
            assert record.state == "done", record.failure
    return folder / "ablation"


@pytest.fixture(scope="module")
def rows(study: Path) -> Rows:
    """What lies on disk, read without the package."""
    found: Rows = {}
    for path in sorted(study.glob("*/record.json")):
        record = json.loads(path.read_text())
        variant = next(name for name in reversed(VARIANTS) if f"-{name}-" in path.parent.name)
        for block in record["blocks"]:
            lines = (path.parent / block["predictions"]).read_text().splitlines()
            found[variant, block["key"]["template"], record["seed"]] = [json.loads(line) for line in lines]
    assert len(found) == 8
    return found


def every(rows: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(row["task"], 100 * dict(row["values"])["rougeL"]) for row in rows]


def by_task(rows: list[dict[str, Any]]) -> dict[str, float]:
    tasks: dict[str, list[float]] = {}
    for task, value in every(rows):
        tasks.setdefault(task, []).append(value)
    return {name: statistics.fmean(values) for name, values in tasks.items()}


def test_mean_spread_and_worst_are_those_of_the_predictions(study: Path, rows: Rows) -> None:
    report = write_report(study)
    lines = list(csv.DictReader((report.folder / "templates.csv").open()))
    for variant in VARIANTS:
        means = {
            template: statistics.fmean(
                statistics.fmean(by_task(rows[variant, template, seed]).values()) for seed in SEEDS
            )
            for template in TEMPLATES
        }
        (line,) = [one for one in lines if (one["trained on"], one["metric"]) == (variant, "rougeL")]
        worst = min(means, key=means.__getitem__)
        assert line["templates"] == "2"
        assert float(line["mean"]) == pytest.approx(statistics.fmean(means.values()), abs=0.006)
        assert float(line["spread"]) == pytest.approx(statistics.stdev(means.values()), abs=0.006)
        assert line["worst"] == f"{means[worst]:.2f} ({worst})"
        (row,) = [one for one in report.rows if one.setting.instruction == variant]
        shown = row.mean("rougeL")
        assert shown is not None
        assert (row.templates, row.seeds) == (2, SEEDS)
        assert shown.value == pytest.approx(statistics.fmean(means.values()))
    assert "each a mean over 2 templates" in (report.folder / "main.tex").read_text()
    page = report.page.read_text()
    assert 'id="templates"' in page
    assert "b-template" in page


def test_differences_are_paired_by_template_and_take_templates_for_a_sample(study: Path, rows: Rows) -> None:
    """Mean and interval by hand: seed, task and template terms, each with Student's quantile."""
    (found,) = [one for one in judge_study(study).differences if one.metric == "rougeL"]
    sides = [
        np.array([[list(by_task(rows[variant, p, s]).values()) for s in SEEDS] for p in TEMPLATES])
        for variant in reversed(VARIANTS)
    ]
    cube = sides[0] - sides[1]  # [templates, seeds, tasks]
    assert found.comparison.mean == pytest.approx(cube.mean())
    assert abs(cube.mean()) > 1, "the stand-in's sides differ"
    (effects,) = found.pairing.templates
    assert effects == pytest.approx(cube.mean(axis=1))
    matrix = cube.mean(axis=0)

    def squares(matrix: np.ndarray) -> tuple[float, float, float]:
        """What the first axis, the tasks and the rest put into the variance of the mean, chance with it."""
        many, tasks = matrix.shape
        square = tasks * matrix.mean(axis=1).var(ddof=1)
        left = matrix - matrix.mean(axis=1)[:, None] - matrix.mean(axis=0)[None, :] + matrix.mean()
        rest = (left**2).sum() / ((many - 1) * (tasks - 1))
        return tuple(part / matrix.size for part in (square, many * matrix.mean(axis=0).var(ddof=1), rest))

    def quantile(freedom: float) -> float:
        return float(stats.t.ppf(0.975, freedom) ** 2)

    def chance(share: float, freedom: int, others: int) -> float:
        return float(stats.f.ppf(share, freedom, freedom * others))

    def effects_of(task: str) -> np.ndarray:
        """Each instance's difference, over templates and seeds."""
        values = [
            [
                [100 * dict(r["values"])["rougeL"] for r in rows[v, p, s] if r["task"] == task]
                for p, s in product(TEMPLATES, SEEDS)
            ]
            for v in reversed(VARIANTS)
        ]
        return np.asarray((np.array(values[0]) - np.array(values[1])).mean(axis=0))

    instances = {task: effects_of(task) for task in by_task(rows["original", "plain", 0])}
    floor = np.mean([one.var(ddof=1) / one.size for one in instances.values()]) / len(instances)
    assert found.comparison.floor is not None
    assert found.pairing.outcomes is not None, "single scores are averaged over templates too"
    assert found.comparison.floor.variance >= floor - 1e-9
    tasks = matrix.shape[1]
    seed, unit, rest = squares(matrix)  # of two seeds, which have their whole mean square
    beyond = max(unit - chance(0.5, tasks - 1, 1) * rest, unit / 10 - seed, 0.0)
    part = 1.0 if found.comparison.floor.whole else 0.4
    least = part * found.comparison.floor.variance * quantile(found.comparison.floor.freedom)
    template, _, left = squares(effects)
    further = quantile(1) * max(0.0, template - chance(0.2, 1, tasks - 1) * left)
    half = np.sqrt(max(quantile(1) * seed + quantile(tasks - 1) * beyond, least) + further)
    low, high = found.comparison.interval95
    assert (low, high) == pytest.approx((cube.mean() - half, cube.mean() + half), rel=1e-6)


def test_rows_of_frames_json_and_terminal_name_their_template(study: Path, rows: Rows) -> None:
    frames = StudyFrames(study)
    for frame in (frames.scores(), frames.predictions()):
        assert set(frame["template"]) == set(TEMPLATES)
    assert len(frames.predictions()) == sum(map(len, rows.values()))
    fields = report_fields(judge_study(study))
    assert {one["templates"] for one in fields["rows"]} == {2}
    assert all(set(one["values"]) == set(TEMPLATES) for one in fields["templates"])
    (cell, *_) = read_study(study).cells
    every = select_rows(study / cell.name, Selection())
    assert {one.tested for one in every} == {f"{cell.setting.instruction}, {name}" for name in TEMPLATES}
    one = select_rows(study / cell.name, Selection(tested=every[0].tested))
    assert len(one) == len(every) // 2


def test_mirrors_have_the_mean_and_each_template(study: Path) -> None:
    (cell, *_) = read_study(study).cells
    flat, label = flat_scores(cell), cell.setting.instruction
    each = [flat[f"{label}/{name}/task_mean/rougeL"] for name in TEMPLATES]
    assert flat[f"{label}/task_mean/rougeL"] == pytest.approx(statistics.fmean(each))
    assert main_scores(cell)["rougeL"] == pytest.approx(statistics.fmean(each))
    assert block_scores(cell)[f"eval/{label}/rougeL"] == pytest.approx(statistics.fmean(each))


def test_agreement_of_templates_is_that_of_the_texts(study: Path, rows: Rows) -> None:
    from instruct_ablate.normalisation import normalised
    from instruct_ablate.report.rows.across_cells import with_metrics_over_cells
    from instruct_ablate.report.rows.seed_means import build_rows

    columns = ("consistency_over_templates", "consistency", "consistency_over_tests")
    found = replace(read_study(study), columns=columns)
    for row in with_metrics_over_cells(build_rows(found.cells), found):
        texts = {
            (p, s): {r["task"] + r["instance_id"]: (r["task"], normalised(r["prediction"])) for r in own}
            for (variant, p, s), own in rows.items()
            if variant == row.setting.instruction
        }

        def share(one: tuple[str, int], other: tuple[str, int], texts: Any = texts) -> float:
            tasks: dict[str, list[float]] = {}
            for key, (task, text) in texts[one].items():
                tasks.setdefault(task, []).append(100.0 * (text == texts[other][key][1]))
            return statistics.fmean(map(statistics.fmean, tasks.values()))

        a, b = TEMPLATES
        over, seeds = row.mean("consistency_over_templates"), row.mean("consistency")
        assert over is not None
        assert seeds is not None
        assert over.value == pytest.approx(statistics.fmean([share((a, 0), (b, 0)), share((a, 1), (b, 1))]))
        assert seeds.value == pytest.approx(statistics.fmean([share((a, 0), (a, 1)), share((b, 0), (b, 1))]))
        assert (over.seeds, seeds.seeds) == (2, 2)
        assert row.mean("consistency_over_tests") is None


def test_the_page_tells_columns_by_their_template(study: Path) -> None:
    from instruct_ablate.report.page.browser import browser_data
    from instruct_ablate.report.page.sample import choose

    data = browser_data(study, choose(read_study(study).cells))
    told = {(one["cell"], one["template"]) for one in data["columns"]}
    assert len(told) == len(data["columns"]) == 8
    assert {template for _, template in told} == set(TEMPLATES)


def test_worst_is_the_highest_where_lower_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    one = OverTemplates(Trial(place(), "original"), "x", (("a", 1.0), ("b", 3.0)))
    measure = SimpleNamespace(metric=SimpleNamespace(higher_is_better=False))
    monkeypatch.setattr("instruct_ablate.report.tables.template_table.find_measure", lambda name: measure)
    assert (one.worst, one.best) == (("b", 3.0), ("a", 1.0))


def test_one_template_is_no_set(study: Path) -> None:
    def alone(cell: CellRecord) -> CellRecord:
        return replace(cell, blocks=cell.blocks[:1])

    assert over_templates([alone(cell) for cell in read_study(study).cells], "original") == ()
