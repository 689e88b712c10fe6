"""Single scores: both sides of a comparison on the same instances, or none at all."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instruct_ablate.cell.state.record.instance_scores import completed
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.metrics import Scores, TaskScore
from instruct_ablate.report.rows.single_scores import SingleScores, Sorted, _mean, _numbers
from instruct_ablate.report.rows.trials import Trial, Trials
from instruct_ablate.report.statistics.paired import Pairing, pair
from instruct_ablate.report.verdicts.verdicts import judge
from tests.report.cells import make_cell
from tests.scored import score, values

TASKS, INSTANCES = 12, 100


def written(folder: Path, cell: CellRecord, right: np.ndarray) -> CellRecord:
    """Write a cell's predictions and their columns; `right[task, instance]` says which are right."""
    path = folder / cell.name / cell.blocks[0].predictions
    path.parent.mkdir(parents=True)
    rows = []
    for task, row in enumerate(right):
        for instance, ok in enumerate(row):
            exact = float(ok)
            rows.append(
                PredictionRow(
                    f"t{task}", "Logic", "classification", f"i{instance}", "?", "a", ("a",), ("a", "b"), False,
                    values(exact, exact, exact, 1.0, 0.5),
                )
            )  # fmt: skip
    writer = PredictionWriter(path)
    for one in rows:
        writer.append(one)
    writer.finish()
    means = 100 * right.mean(axis=1)
    tasks = tuple(
        TaskScore("classification", "Logic", score(f"t{i}", right.shape[1], m, m, m, 100.0, 50.0))
        for i, m in enumerate(means)
    )
    scores = cell.blocks[0].scores
    block = replace(cell.blocks[0], scores=Scores(scores.overall, scores.task_mean, (), (), tasks))
    return replace(cell, blocks=(completed(folder / cell.name, block, rows, ()),))


def study(folder: Path, seeds: int = 3) -> list[CellRecord]:
    """Two sides that differ on one instance in fifty."""
    generator = np.random.default_rng(0)
    right = generator.random((TASKS, INSTANCES)) < 0.75
    cells = []
    for seed in range(seeds):
        other = right ^ (generator.random(right.shape) < 0.02)
        cells.append(written(folder, make_cell(1.0, seed=seed), right))
        cells.append(written(folder, make_cell(1.0, seed=seed, instruction="simplified"), other))
    return cells


def paired(cells: list[CellRecord]) -> tuple[Pairing, tuple[Trial, Trial]]:
    trials = Trials(cells)
    left, right = (next(t for t in trials.scores if t.tested == name) for name in ("simplified", "original"))
    found = pair(trials.scores[left], trials.scores[right], "exact_match")
    assert found is not None
    return found, (left, right)


def test_outcomes_are_those_of_the_means(tmp_path: Path):
    cells = study(tmp_path)
    pairing, sides = paired(cells)
    added = SingleScores(cells, tmp_path).added(pairing, sides, "exact_match")
    assert added.outcomes is not None
    assert added.outcomes.differences == pytest.approx(pairing.differences)
    assert added.outcomes.left[0].shape == (3, INSTANCES)
    assert added.floor.variance < pairing.floor.variance / 5


def test_a_claim_that_unpaired_instances_leave_open_is_decided_by_paired_ones(tmp_path: Path):
    cells = study(tmp_path)
    claim = [parse_hypothesis("simplified equals original on exact_match within 2")]
    assert judge(cells, claim, "original")[0].answer == "undecided"
    assert judge(cells, claim, "original", SingleScores(cells, tmp_path))[0].answer == "supported"


def test_what_is_not_there_or_not_of_these_means_is_left_out(tmp_path: Path):
    cells = study(tmp_path, seeds=2)
    pairing, sides = paired(cells)
    assert SingleScores(cells, None).added(pairing, sides, "exact_match") is pairing
    other = replace(pairing, left=pairing.left + 1)
    assert SingleScores(cells, tmp_path).added(other, sides, "exact_match") is other
    (tmp_path / cells[0].name / cells[0].blocks[0].instances).unlink()
    assert SingleScores(cells, tmp_path).added(pairing, sides, "exact_match") is pairing


@pytest.mark.parametrize("value", ["x", [1.0], None])
def test_columns_of_another_type_are_left_out(tmp_path: Path, value: object):
    cells = study(tmp_path, seeds=2)
    pairing, sides = paired(cells)
    path = tmp_path / cells[0].name / cells[0].blocks[0].instances
    table = pq.read_table(path).to_pydict()
    pq.write_table(pa.table({**table, "exact_match": [value] * len(table["task"])}), path)
    assert SingleScores(cells, tmp_path).added(pairing, sides, "exact_match") is pairing


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "scores", "link"])
def test_files_that_are_none_of_the_cells_are_left_out(tmp_path: Path, name: str):
    cells = study(tmp_path, seeds=2)
    pairing, sides = paired(cells)
    (tmp_path / cells[0].name / "link").symlink_to(tmp_path / cells[0].name / cells[0].blocks[0].instances)
    cells[0] = replace(cells[0], blocks=(replace(cells[0].blocks[0], instances=name),))
    assert SingleScores(cells, tmp_path).added(pairing, sides, "exact_match") is pairing


def test_files_of_other_instances_or_in_another_order_are_sorted_by_themselves(tmp_path: Path):
    cells = study(tmp_path, seeds=2)
    pairing, sides = paired(cells)
    plain = SingleScores(cells, tmp_path).added(pairing, sides, "exact_match")
    path = tmp_path / cells[0].name / cells[0].blocks[0].instances
    table = pq.read_table(path)
    pq.write_table(table.take(list(reversed(range(len(table))))), path)
    turned = SingleScores(cells, tmp_path).added(pairing, sides, "exact_match")
    assert turned.outcomes is not None
    for one, other in zip(turned.outcomes.left, plain.outcomes.left, strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(turned.outcomes.right, plain.outcomes.right, strict=True):
        assert np.array_equal(one, other)
    ids = [f"{one}x" if place == 5 else one for place, one in enumerate(table["instance_id"].to_pylist())]
    pq.write_table(table.set_column(1, "instance_id", pa.array(ids)), path)
    assert SingleScores(cells, tmp_path).added(pairing, sides, "exact_match") is pairing


def test_two_columns_of_one_name_are_left_out(tmp_path: Path):
    cells = study(tmp_path, seeds=2)
    pairing, sides = paired(cells)
    path = tmp_path / cells[0].name / cells[0].blocks[0].instances
    table = pq.read_table(path)
    pq.write_table(table.append_column("rougeL", table["rougeL"]), path)
    assert SingleScores(cells, tmp_path).added(pairing, sides, "exact_match") is pairing


def test_what_has_no_seeds_stands_against_every_seed(tmp_path: Path):
    cells = study(tmp_path, seeds=2)
    scores, (trial, _) = SingleScores(cells, tmp_path), paired(cells)[1]
    assert scores._side(trial, 1) is not scores._side(trial, 0)
    assert scores._side(trial, 99) is scores._side(trial, 0), "the first that there is"
    assert SingleScores([], tmp_path)._side(trial, 0) is None


def column_of(values: list[float], ids: str = "ab", **more: list[float]) -> Sorted:
    columns = {"exact_match": np.array(values), **{name: np.array(given) for name, given in more.items()}}
    return Sorted({"t": pa.array(list(ids))}, {"t": slice(0, 2)}, columns)


def test_scores_under_several_templates_are_meaned_instance_by_instance():
    one, other = column_of([1.0, 0.0], rougeL=[0.5, 0.5]), column_of([0.0, 0.0])
    mean = _mean([one, other])
    assert mean is not None
    assert {name: values.tolist() for name, values in mean.columns.items()} == {"exact_match": [0.5, 0.0]}
    assert _mean([one]) is one
    assert _mean([one, None]) is None
    assert _mean([one, column_of([1.0, 0.0], ids="ac")]) is None, "of other instances"
    assert _mean([one, replace(other, rows={"t": slice(0, 1)})]) is None


@pytest.mark.parametrize(
    "chunks", [[], [[]], [[1.5, None, -0.0]], [[1.0], [None, 2.0], []], [[float("nan"), float("inf"), 3.0]]]
)
def test_a_column_is_the_same_by_its_bytes_as_by_arrows_own_way(chunks: list[list[float | None]]):
    column = pa.chunked_array(chunks, pa.float64())
    for part in (column, column[1:], column[:-1]):
        np.testing.assert_array_equal(_numbers(part), part.to_numpy())


def test_single_scores_are_read_without_pandas(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from instruct_ablate.report.rows.single_scores import _read; "
        "_read(Path(sys.argv[1]), 'scores.parquet', []); print('pandas' in sys.modules)"
    )
    table = {"task": ["a", "a"], "instance_id": ["1", "2"], "exact_match": [1.0, None]}
    pq.write_table(pa.table(table), tmp_path / "scores.parquet")
    words = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\n"
