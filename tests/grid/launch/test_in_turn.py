"""Cells one after another in one process: those of a sweep are what they are alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.grid.launch import in_turn
from instruct_ablate.grid.launch.in_turn import is_here, restoring, run_in_turn
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.schema import BudgetConfig, LoggerConfig, ModelConfig
from tests.grid.small import TASKS, records, sweep
from tests.standins import make_config, replace_inputs


@pytest.fixture(autouse=True)
def _logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "configure_log", lambda *_: None)


def basic(task: Callable[[Any], Any] = print, **job: object) -> BasicLauncher:
    launcher = BasicLauncher()
    hydra = {"job_logging": {}, "verbose": False, "job": {"env_set": {}, **job}}
    context: Any = SimpleNamespace(callbacks=SimpleNamespace(callbacks=[]))
    launcher.setup(hydra_context=context, task_function=task, config=OmegaConf.create({"hydra": hydra}))
    return launcher


def cells_of(folder: Path, monkeypatch: pytest.MonkeyPatch, count: int = 3, **changes: object) -> list[Cell]:
    replace_inputs(monkeypatch)
    configs = [make_config(folder, seed=seed, **changes) for seed in range(count)]
    return [Cell((), config, identify(config)) for config in configs]


def test_what_is_asked_of_hydra_itself_is_left_to_it() -> None:
    assert is_here(basic())
    assert not is_here(basic(env_set={"A": "1"}))
    watched = basic()
    watched.hydra_context.callbacks.callbacks.append(print)
    assert not is_here(watched)
    assert not is_here(SimpleNamespace())


def test_each_cell_has_the_process_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells, seen = cells_of(tmp_path, monkeypatch), []

    def run(config: Any) -> None:
        seen.append((config.seed, os.environ.get("LEFT"), SHELF.is_open))
        os.environ["LEFT"] = str(config.seed)

    monkeypatch.delenv("LEFT", raising=False)
    run_in_turn(basic(run), cells)
    assert seen == [(0, None, True), (1, None, True), (2, None, True)]
    assert not SHELF.is_open


def test_one_that_raises_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cells, ran = cells_of(tmp_path, monkeypatch, model=ModelConfig("majority", source="baseline")), []
    cells = [*cells, *cells_of(tmp_path / "more", monkeypatch)]

    def run(config: Any) -> None:
        ran.append(config.output)
        if len(ran) == 1:
            raise ValueError("it broke")

    run_in_turn(basic(run), cells)
    assert len(ran) == len(cells)
    assert "ValueError: it broke" in caplog.text


@pytest.mark.parametrize("stop", [SystemExit(143), KeyboardInterrupt()])
def test_a_stop_ends_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException) -> None:
    ran: list[int] = []

    def run(config: Any) -> None:
        ran.append(config.seed)
        raise stop

    with pytest.raises(type(stop)):
        run_in_turn(basic(run), cells_of(tmp_path, monkeypatch))
    assert ran == [0]
    assert not SHELF.is_open


def test_one_cell_and_cells_without_a_model_need_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.cell.run.clean_process.CleanProcess", pytest.fail)
    majority = cells_of(tmp_path, monkeypatch, model=ModelConfig("majority", source="baseline"))
    for cells in (majority, cells_of(tmp_path, monkeypatch, 1)):
        with restoring(cells) as restore:
            restore(tmp_path)


def test_what_a_cell_leaves_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = []
    cells = cells_of(tmp_path, monkeypatch, 2)

    def run(config: Any) -> None:
        folder = next(cell.folder for cell in cells if cell.config == config)
        folder.mkdir(parents=True)
        kept.append((folder / "file").open("w"))

    run_in_turn(basic(run), cells)
    assert "is still open" in caplog.text
    for file in kept:
        file.close()


def test_a_cell_of_a_sweep_is_the_cell_alone(tmp_path: Path) -> None:
    """Records but for times, predictions, weights: the second of a sweep, beside one of another variant."""
    words = (
        *TASKS,
        "data_budget=1",
        "with_untuned=false",
        "keep_checkpoints=true",
        "cache=" + str(tmp_path / "c"),
    )
    grids = {
        "many": ("instruction=simplified,original", "seed=1"),
        "alone": ("instruction=original", "seed=1"),
    }
    for name, axes in grids.items():
        (tmp_path / name).mkdir()
        run = sweep(tmp_path / name, *words, *axes)
        assert run.returncode == 0, run.stdout + run.stderr
    many, (alone,) = records(tmp_path / "many"), records(tmp_path / "alone").values()
    assert len(many) == 2
    timeless = [
        replace(
            record,
            cost=None,
            started=None,
            finished=None,
            environment=replace(record.environment, command=()),
        )
        for record in (many[alone.name], alone)
    ]
    assert timeless[0] == timeless[1]
    folders = [tmp_path / name / "multirun" / "ablation" / alone.name for name in ("many", "alone")]
    for pattern in ("predictions/*", "config.yaml", "identity.json"):
        files = [sorted(folder.glob(pattern)) for folder in folders]
        assert [file.name for file in files[0]] == [file.name for file in files[1]] != []
        same = [[_text(file) for file in one] for one in files]
        assert same[0] == same[1]
    assert _weights(folders[0]) == _weights(folders[1])


def _text(file: Path) -> str:
    return "\n".join(line for line in file.read_text().splitlines() if not line.startswith("output:"))


def _weights(folder: Path) -> list[bytes]:
    from instruct_ablate.model.training.resume import training_state

    state = training_state.read(folder / "checkpoints" / training_state.TRAINED)
    assert state is not None
    return [weight.numpy().tobytes() for weight in state["masters"]]


def test_what_is_derived_from_hydra_s_launcher_does_more_than_run_cells() -> None:
    class Derived(BasicLauncher):
        """Runs cells in its own way."""

    derived = Derived()
    vars(derived).update(vars(basic()))
    assert not is_here(derived)


def test_a_sweep_logs_as_hydra_says_and_counts_its_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given: list[object] = []
    monkeypatch.setattr(in_turn, "configure_log", lambda *words: given.append(words))
    caplog.set_level("INFO", logger=in_turn.log.name)
    majority = cells_of(tmp_path, monkeypatch, model=ModelConfig("majority", source="baseline"))
    launcher = basic()
    run_in_turn(launcher, majority)
    assert given == [(launcher.config.hydra.job_logging, launcher.config.hydra.verbose)]
    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert said == ["cell 1 of 3", "cell 2 of 3", "cell 3 of 3"]


def test_outside_of_the_main_thread_nothing_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python sets signal handlers there alone."""
    monkeypatch.setattr("instruct_ablate.cell.run.clean_process.CleanProcess", pytest.fail)
    ran: list[int] = []
    cells, launcher = cells_of(tmp_path, monkeypatch, 2), basic(lambda config: ran.append(config.seed))
    thread = Thread(target=run_in_turn, args=(launcher, cells))
    thread.start()
    thread.join()
    assert ran == [0, 1]


@pytest.mark.parametrize(
    ("budgets", "trains"), [((0, 0), False), ((0, 8), True), ((8, 0), True), ((8, 8), True)]
)
def test_what_training_needs_is_there_from_the_start_where_a_cell_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budgets: tuple[int, int], trains: bool
) -> None:
    made: list[tuple[bool, str]] = []

    def clean(trains: bool, logger: str) -> object:
        made.append((trains, logger))
        return SimpleNamespace(restore=lambda folder: [], leave=lambda: None)

    monkeypatch.setattr("instruct_ablate.cell.run.clean_process.CleanProcess", clean)
    baseline = cells_of(tmp_path, monkeypatch, 1, model=ModelConfig("majority", source="baseline"))
    cells = [
        cells_of(tmp_path, monkeypatch, 1, data_budget=BudgetConfig(budget), logger=LoggerConfig("csv"))[0]
        for budget in budgets
    ]
    with restoring([*baseline, *cells]) as restore:
        restore(tmp_path)
    assert made == [(trains, "csv")]
