"""The mirror: a cell's end is told; real cells under every logger that writes to the local disk, read back."""

from __future__ import annotations

import csv
import logging
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.mirror import mirror as module
from instruct_ablate.cell.mirror.loggers import Silent
from instruct_ablate.cell.mirror.mirror import MlflowNames, csv_rows, open_mirror
from instruct_ablate.cell.run import runner
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.model.training.module import InstructionModule
from instruct_ablate.schema import BudgetConfig, Config, EvaluationConfig, LoggerConfig, TrainerConfig
from tests.cell.run.test_stages import folder_of, small
from tests.report.cells import make_cell, place
from tests.standins import make_config, replace_inputs, work

IDENTITY = Identity("ab" * 32, "tiny-original-8-s0-abababab", place(), 0, "d" * 64, {})
STEPS = 2


def config(name: str) -> Config:
    return replace(Config(), logger=LoggerConfig(name))


def test_none_is_silent(tmp_path: Path):
    mirror = open_mirror(config("none"), IDENTITY, tmp_path)
    assert isinstance(mirror, Silent)
    assert mirror.loggers() == []
    mirror.finish(make_cell(50.0))
    assert list(tmp_path.iterdir()) == []


def test_csv_holds_axes_and_scores(tmp_path: Path):
    mirror = open_mirror(config("csv"), IDENTITY, tmp_path)
    assert len(mirror.loggers()) == 1
    mirror.finish(make_cell(50.0))
    (row,) = csv.DictReader((tmp_path / "csv" / "metrics.csv").read_text().splitlines())
    assert float(row["original/classification/exact_match"]) == 50.0
    assert "instruction: original" in (tmp_path / "csv" / "hparams.yaml").read_text()


def test_a_mirror_that_breaks_is_told_and_done_without(tmp_path: Path, monkeypatch, caplog):
    def broken(*given: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("instruct_ablate.cell.mirror.mirror.WandbRun", broken)
    with caplog.at_level(logging.WARNING):
        assert isinstance(open_mirror(config("wandb"), IDENTITY, tmp_path), Silent)
    assert "no network" in caplog.text


def run(tmp_path: Path, logger: str) -> tuple[CellRecord, Path]:
    config = small(tmp_path, tmp_path / "cache", logger=LoggerConfig(logger))
    record = run_cell(config)
    assert record.state == "done", record.failure
    assert record.cost.train_steps == STEPS
    return record, folder_of(config, record)


def score_of(record: CellRecord) -> float:
    return record.blocks[0].scores.task_mean.get("rougeL")


def test_csv(tmp_path: Path) -> None:
    record, folder = run(tmp_path, "csv")
    rows = list(csv.DictReader((folder / "csv" / "metrics.csv").read_text().splitlines()))
    assert len([row for row in rows if row["train/loss"]]) == STEPS
    assert float(rows[-1]["original/task_mean/rougeL"]) == pytest.approx(score_of(record))
    assert float(rows[-1]["eval/original/rougeL"]) == pytest.approx(score_of(record))


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the tensorboard extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record, folder = run(tmp_path, "tensorboard")
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("train/loss")] == [1, 2]
    (point,) = events.Scalars("original/task_mean/rougeL")
    assert point.value == pytest.approx(score_of(record), rel=1e-6)


def resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: str
) -> tuple[CellRecord, Path, list[int]]:
    """Run a cell that breaks in its fourth step and goes on after its second; return the steps of its curve too."""
    trainer = TrainerConfig(
        precision="fp32", batch_size=1, accelerator="cpu", progress=False, threads=1, checkpoint_every_steps=2
    )
    config = small(
        tmp_path,
        tmp_path / "cache",
        logger=LoggerConfig(logger),
        trainer=trainer,
        data_budget=BudgetConfig(3, tasks=2),
        evaluation=EvaluationConfig(at=[0.5, 1.0], at_instances=2),
    )
    step = InstructionModule.training_step

    def broken(self: InstructionModule, batch: Any, index: int) -> None:
        if self.done == 3:
            raise RuntimeError("the power went")
        step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(InstructionModule, "training_step", broken)
        assert run_cell(config).state == "failed"
    record = run_cell(config)
    assert record.state == "done", record.failure
    folder = folder_of(config, record)
    return record, folder, [int(row["step"]) for row in read_curve(folder / "training.jsonl")]


def test_a_resumed_cells_csv_has_every_step_once_under_its_own_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, folder, steps = resumed(tmp_path, monkeypatch, "csv")
    assert steps == [1, 2, 3, 4, 5, 6]
    rows = list(csv.DictReader((folder / "csv" / "metrics.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows if row["train/loss"]] == steps
    curve = read_curve(folder / "training.jsonl")
    assert [float(row["train/loss"]) for row in rows if row["train/loss"]] == pytest.approx(
        [row["loss"] for row in curve], rel=1e-6
    )
    assert [int(row["step"]) for row in rows if row["curve/original/rougeL"]] == [3, 6]
    (last,) = [row for row in rows if row["original/task_mean/rougeL"]]
    assert (int(last["step"]), record.cost.train_steps) == (6, 6)


def test_steps_are_read_however_a_logger_has_written_them(tmp_path: Path) -> None:
    """Before: rows at "5.0" were dropped, and a resumed cell lost what was logged before it stopped."""
    file = tmp_path / "metrics.csv"
    file.write_text("step,train/loss\n5.0,1.5\n4,2.5\n,3.5\n6.5,1.0\nnan,1.0\ninf,1.0\nx,1.0\n")
    assert csv_rows(file) == [{"step": 4, "train/loss": "2.5"}, {"step": 5, "train/loss": "1.5"}]
    assert csv_rows(tmp_path / "none.csv") == []


def test_a_resumed_cells_curve_goes_on_in_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="needs the tensorboard extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, folder, steps = resumed(tmp_path, monkeypatch, "tensorboard")
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    curve = read_curve(folder / "training.jsonl")
    assert [point.step for point in events.Scalars("train/loss")] == steps, "before: step 3 twice"
    assert [point.value for point in events.Scalars("train/loss")] == pytest.approx(
        [row["loss"] for row in curve], rel=1e-6
    )
    assert [point.step for point in events.Scalars("curve/original/rougeL")] == [3, 6]


@pytest.mark.slow  # its store is set up by dozens of migrations
def test_a_resumed_cell_goes_on_in_its_mlflow_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="needs the mlflow extra")
    from mlflow.tracking import MlflowClient

    record, _, steps = resumed(tmp_path, monkeypatch, "mlflow")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (told,) = client.search_runs([client.get_experiment_by_name("ablation").experiment_id])
    assert (told.info.run_name, told.info.status) == (record.name, "FINISHED")
    history = client.get_metric_history(told.info.run_id, "train/loss")
    assert sorted(point.step for point in history) == steps, "before: step 3 twice"
    scored = client.get_metric_history(told.info.run_id, "curve/original/rougeL")
    assert sorted(point.step for point in scored) == [3, 6]
    assert told.data.metrics["original/task_mean/rougeL"] == pytest.approx(score_of(record))


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
    assert len(client.get_metric_history(told.info.run_id, "train/loss")) == STEPS


@pytest.mark.slow  # its store is set up by dozens of migrations
def test_values_whose_names_mlflow_shortens_stand_once_in_a_run_that_goes_on(tmp_path: Path) -> None:
    """Before: they were looked for by their whole names, not found, and logged again."""
    pytest.importorskip("mlflow", reason="needs the mlflow extra")
    from mlflow.tracking import MlflowClient

    for steps in ((3, 6), (6, 9)):
        mirror = open_mirror(replace(config("mlflow"), output=str(tmp_path)), IDENTITY, tmp_path)
        (logger,) = mirror.loggers()
        for step in steps:
            logger.log_metrics({"curve/corrupted:0.5 (a=b)/rougeL": 1.0}, step)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (told,) = client.search_runs([client.get_experiment_by_name("ablation").experiment_id])
    history = client.get_metric_history(told.info.run_id, "curve/corrupted0.5 ab/rougeL")
    assert sorted(point.step for point in history) == [3, 6, 9]


def _open_mlflow(folder: Path, number: int) -> None:
    seconds = replace(IDENTITY, name=f"cell-{number}", hash=f"{number}" * 64)
    mirror = open_mirror(replace(config("mlflow"), output=str(folder)), seconds, folder)
    mirror.finish(make_cell(50.0))


@pytest.mark.slow  # its store is set up by dozens of migrations
def test_mlflow_is_set_up_once_however_many_cells_begin_at_once(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the mlflow extra")
    from mlflow.tracking import MlflowClient

    context = multiprocessing.get_context("spawn")
    cells = [context.Process(target=_open_mlflow, args=(tmp_path, number)) for number in range(3)]
    for cell in cells:
        cell.start()
    for cell in cells:
        cell.join()
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ablation").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["cell-0", "cell-1", "cell-2"]


def test_a_logger_that_lost_a_cell_is_in_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Silent):
        def finish(self, record: CellRecord) -> None:
            raise OSError("the service is gone\nwith details")

    replace_inputs(monkeypatch)
    for opened, why in ((Broken, "the service is gone"), (None, "cannot begin")):
        with monkeypatch.context() as patch:
            if opened is None:
                patch.setattr(module, "_csv", lambda folder: (_ for _ in ()).throw(OSError("cannot begin")))
            else:
                patch.setattr(runner, "open_mirror", lambda *_: Broken())
            record = runner.run_cell(
                make_config(tmp_path, study=why.replace(" ", "_"), logger=LoggerConfig("csv")), work
            )
        assert record.state == "done"
        assert record.notes[-1] == f"logger csv has lost this cell (OSError: {why})"
        folder = tmp_path / why.replace(" ", "_") / record.name
        assert read_record(folder) == record


@pytest.mark.parametrize("name", ["csv", "tensorboard", "mlflow"])
def test_every_logger_opens_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for one in ("csv", "tensorboard", "mlflow"):
        monkeypatch.setattr(f"instruct_ablate.cell.mirror.mirror._{one}", lambda *_, own=one: own)
    monkeypatch.setattr("instruct_ablate.cell.mirror.settings.PACKAGES", {})
    monkeypatch.setattr(module, "Plain", lambda logger, identity: logger)
    identity: Any = None
    assert open_mirror(make_config(tmp_path, logger=LoggerConfig(name)), identity, tmp_path) == name


def test_names_that_mlflow_would_make_one_are_kept_apart_and_the_same_ones_in_a_run_that_goes_on() -> None:
    """Before: both were "curve/mine0.5/rougeL", one curve of two tests."""
    asked = ["curve/mine:0.5/rougeL", "curve/mine=0.5/rougeL", "train/loss", "curve/mine:0.5/rougeL"]
    for names in (MlflowNames(), MlflowNames()):
        assert [names.of(one) for one in asked] == [
            "curve/mine0.5/rougeL", "curve/mine0.5/rougeL-d0d1db", "train/loss", "curve/mine0.5/rougeL"
        ]  # fmt: skip


@pytest.mark.slow  # its store is set up by dozens of migrations
def test_two_tests_of_one_short_name_have_a_value_each_in_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the mlflow extra")
    from mlflow.tracking import MlflowClient

    mirror = open_mirror(replace(config("mlflow"), output=str(tmp_path)), IDENTITY, tmp_path)
    (logger,) = mirror.loggers()
    logger.log_metrics({"mine:0.5/rougeL": 1.0, "mine=0.5/rougeL": 2.0}, 3)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (told,) = client.search_runs([client.get_experiment_by_name("ablation").experiment_id])
    assert sorted(told.data.metrics.values()) == [1.0, 2.0]
