"""Real cells under every logger that writes to the local disk, read back by that logger's own reader."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.schema import LoggerConfig
from tests.cell.run.test_stages import folder_of, small

STEPS = 2


def run(tmp_path: Path, logger: str) -> tuple[CellRecord, Path]:
    config = small(tmp_path, tmp_path / "cache", logger=LoggerConfig(logger))
    record = run_cell(config)
    assert record.state == "done", record.failure
    assert record.cost.train_steps == STEPS
    return record, folder_of(config, record)


def score_of(record: CellRecord) -> float:
    return record.blocks[0].scores.task_mean.rougeL


def test_csv(tmp_path: Path) -> None:
    record, folder = run(tmp_path, "csv")
    rows = list(csv.DictReader((folder / "csv" / "metrics.csv").read_text().splitlines()))
    assert len([row for row in rows if row["loss"]]) == STEPS
    assert float(rows[-1]["original/task_mean/rougeL"]) == pytest.approx(score_of(record))


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the tensorboard extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record, folder = run(tmp_path, "tensorboard")
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("loss")] == [0, 1]
    (point,) = events.Scalars("original/task_mean/rougeL")
    assert point.value == pytest.approx(score_of(record), rel=1e-6)


@pytest.mark.slow  # its store is set up by dozens of migrations
def test_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the mlflow extra")
    from mlflow.tracking import MlflowClient

    record, _ = run(tmp_path, "mlflow")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("ablation")
    (told,) = client.search_runs([experiment.experiment_id])
    assert (told.info.run_name, told.info.status) == (record.name, "FINISHED")
    assert told.data.params["identity"] == record.identity
    assert told.data.metrics["original/task_mean/rougeL"] == pytest.approx(score_of(record))
    assert len(client.get_metric_history(told.info.run_id, "loss")) == STEPS
