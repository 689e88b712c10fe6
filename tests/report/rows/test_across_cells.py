from __future__ import annotations

import random
import statistics
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import BlockKey, CellRecord
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics.built_in import consistency
from instruct_ablate.report.rows.across_cells import with_metrics_over_cells
from instruct_ablate.report.rows.seed_means import build_rows
from tests.report.cells import make_cell
from tests.report.studies import write_study
from tests.scored import values


def test_agreeing_pairs_count() -> None:
    assert consistency(("Yes.", "yes", "no"), ("no",)) == pytest.approx(1 / 3)
    assert consistency(("yes",), ("yes",)) is None


def test_it_is_over_the_seeds_and_undefined_for_one(tmp_path: Path) -> None:
    cells = [make_cell(50.0, seed=0), make_cell(50.0, seed=1), make_cell(50.0, instruction="simplified")]
    study = replace(read_study(write_study(tmp_path / "s", cells)), columns=("consistency",))
    path = study.folder / cells[0].name / cells[0].blocks[0].predictions
    path.write_text(path.read_text().replace('"prediction": "positive"', '"prediction": "other"', 1))
    rows = with_metrics_over_cells(build_rows(study.cells), study)
    shown = {row.setting.instruction: row.mean("consistency") for row in rows}
    assert shown["simplified"] is None
    assert shown["original"] is not None
    assert (shown["original"].value, shown["original"].seeds) == (75.0, 2)


def test_cells_that_clash_have_none(tmp_path: Path) -> None:
    one = make_cell(50.0)
    cells = [one, replace(one, name="again", identity="again")]
    study = replace(read_study(write_study(tmp_path / "s", cells)), columns=("consistency",))
    (row,) = with_metrics_over_cells(build_rows(study.cells), study)
    assert row.clash
    assert row.mean("consistency") is None, "they are no two seeds"


def test_each_kind_by_itself_and_only_what_every_seed_answered(tmp_path: Path) -> None:
    cells = [make_cell(50.0, seed=0), make_cell(50.0, seed=1)]
    columns = ("generation_consistency", "classification_consistency", "to_reference", "exact_match")
    study = replace(read_study(write_study(tmp_path / "s", cells)), columns=columns)
    path = study.folder / cells[1].name / cells[1].blocks[0].predictions
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(
        "".join(lines[1:-1]) + lines[-1].replace('"prediction": "positive"', '"prediction": "other"')
    )
    (row,) = with_metrics_over_cells(build_rows(study.cells), study)
    assert row.mean("generation_consistency") is None, "there is no such task"
    shared = row.mean("classification_consistency")
    assert shared is not None
    assert shared.value == pytest.approx(200 / 3)
    assert shared.deviation is None


def test_predictions_that_are_gone_leave_the_rest_of_the_row(tmp_path: Path) -> None:
    cells = [make_cell(50.0, seed=0), make_cell(50.0, seed=1)]
    study = replace(read_study(write_study(tmp_path / "s", cells)), columns=("consistency",))
    (study.folder / cells[0].name / cells[0].blocks[0].predictions).unlink()
    rows = build_rows(study.cells)
    assert with_metrics_over_cells(rows, study) == rows
    assert with_metrics_over_cells(rows, replace(study, columns=())) == rows


def test_one_alone_is_given_to_no_metric(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cell = make_cell(50.0)
    study = replace(read_study(write_study(tmp_path / "s", [cell])), columns=NAMES)
    (study.folder / cell.name / cell.blocks[0].predictions).unlink()
    rows = build_rows(study.cells)
    assert with_metrics_over_cells(rows, study) == rows
    assert not caplog.text, "nor read"


def test_over_test_instructions_it_is_of_one_cell_and_averaged_over_seeds(tmp_path: Path) -> None:
    cells = []
    for seed in (0, 1):
        cell = make_cell(50.0, seed=seed)
        (block,) = cell.blocks
        other = replace(block, instruction="simplified", predictions="predictions/simplified.jsonl")
        cells.append(replace(cell, blocks=(block, other)))
    cells.append(make_cell(50.0, instruction="delusive"))
    study = replace(read_study(write_study(tmp_path / "s", cells)), columns=("consistency_over_tests",))
    path = study.folder / cells[0].name / cells[0].blocks[0].predictions
    path.write_text(path.read_text().replace('"prediction": "positive"', '"prediction": "other"', 1))
    rows = with_metrics_over_cells(build_rows(study.cells), study)
    shown = [row.mean("consistency_over_tests") for row in rows if row.setting.instruction == "original"]
    assert [(one.value, one.seeds) for one in shown if one] == [(87.5, 2)] * 2
    assert (
        next(row for row in rows if row.setting.instruction == "delusive").mean("consistency_over_tests")
        is None
    )


RATES, SEEDS, TESTS, TEMPLATES = (1e-5, 1e-2), (0, 1, 2), ("original", "delusive"), ("bars", "plain")
SIZES = {"large": 9, "small": 2}  # instances of two tasks, which weigh alike
NAMES = ("consistency", "consistency_over_tests", "consistency_over_templates")


def answers(*place: object) -> dict[str, list[str]]:
    """What a cell wrote: by task, an answer to each instance."""
    chance = random.Random(repr(place))
    return {task: [chance.choice(("yes", "no", "perhaps")) for _ in range(n)] for task, n in SIZES.items()}


def agreement(sides: Iterable[dict[str, list[str]]]) -> float:
    """The share of equal pairs, instance by instance, meaned within tasks and then over them."""
    every = list(sides)
    shares = {
        task: [
            statistics.fmean(a == b for a, b in combinations(texts, 2))
            for texts in zip(*(side[task] for side in every), strict=True)
        ]
        for task in SIZES
    }
    return 100 * statistics.fmean(map(statistics.fmean, shares.values()))


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rates with three seeds each, two tests under two templates; rows in another order in every file."""
    cells: list[CellRecord] = []
    for rate, seed in product(RATES, SEEDS):
        cell = make_cell(50.0, seed=seed, lr=rate)
        made = [
            replace(
                cell.blocks[0],
                instruction=tested,
                predictions=f"{tested}-{template}.jsonl",
                key=BlockKey(tested, template),
            )
            for tested, template in product(TESTS, TEMPLATES)
        ]
        cells.append(replace(cell, blocks=tuple(made)))
    cells.append(replace(cells[0], name="begun", identity="begun", seed=9, state="interrupted"))
    folder = write_study(tmp_path_factory.mktemp("crossed") / "s", cells)
    for cell in cells:
        for block in cell.blocks:
            own = answers(
                cell.setting.get("trainer.learning_rate"), cell.seed, block.instruction, block.key.template
            )
            rows = [
                PredictionRow(
                    task,
                    "Logic",
                    "classification",
                    f"{n}",
                    "?",
                    text,
                    ("yes",),
                    ("yes", "no"),
                    False,
                    values(0, 0, 0, 0, 0.5),
                )
                for task, texts in own.items()
                for n, text in enumerate(texts)
            ]
            random.Random(block.predictions + cell.name).shuffle(rows)
            (folder / cell.name / block.predictions).unlink()
            writer = PredictionWriter(folder / cell.name / block.predictions)
            for row in rows:
                writer.append(row)
            writer.finish()
    return folder


def test_agreements_over_seeds_tests_and_templates_are_crossed_by_nothing_else(crossed: Path) -> None:
    study = replace(read_study(crossed), columns=NAMES)
    rows = [row for row in with_metrics_over_cells(build_rows(study.cells), study) if row.seeds]
    assert len(rows) == len(RATES) * len(TESTS)
    for row in rows:
        rate, tested = row.setting.get("trainer.learning_rate"), row.tested
        over_seeds = [agreement(answers(rate, seed, tested, one) for seed in SEEDS) for one in TEMPLATES]
        over_tests = [
            statistics.fmean(agreement(answers(rate, seed, test, one) for test in TESTS) for one in TEMPLATES)
            for seed in SEEDS
        ]
        over_templates = [agreement(answers(rate, seed, tested, one) for one in TEMPLATES) for seed in SEEDS]
        seeds, tests, templates = (row.mean(name) for name in NAMES)
        assert (seeds.value, seeds.deviation, seeds.seeds) == (
            pytest.approx(statistics.fmean(over_seeds)),
            None,
            3,
        )
        for shown, by_hand in ((tests, over_tests), (templates, over_templates)):
            assert shown.value == pytest.approx(statistics.fmean(by_hand))
            assert (shown.deviation, shown.seeds) == (pytest.approx(statistics.stdev(by_hand)), 3)
