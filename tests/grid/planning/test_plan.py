from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.store import Records
from instruct_ablate.commands.plan import command
from instruct_ablate.errors import UserError
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.grid.planning.estimate import AT_ONCE, Estimate
from instruct_ablate.grid.planning.plan import (
    PlannedCell,
    check_planned,
    clock,
    compose_plan,
    parse_budget,
    plan_table,
    planned,
    summary,
)
from instruct_ablate.grid.planning.probe import probe
from instruct_ablate.grid.speeds import Machine, Speed, Way
from instruct_ablate.grid.sweep import Plan
from instruct_ablate.schema import Config
from tests.standins import make_config, replace_inputs

GRID = ("model=tiny_llama", "instruction=original,simplified", "data_budget=0,2", "tasks.test_tasks=2")
GPU = Machine("H200", "cuda", "bf16")
SPEEDS = {Way("tiny_llama", "full"): Speed(1000, 1.0, 100, 1.0, 1.0, 1)}


def words(folder: Path, *more: str) -> tuple[str, ...]:
    return (*GRID, f"output={folder}", f"cache={folder / 'cache'}", "logger=none", *more)


def test_a_grid_is_counted_before_it_runs(tmp_path: Path) -> None:
    plan = compose_plan(words(tmp_path, "tasks.test_instances=5", "data_budget.tasks=3"))
    cells = planned(plan, SPEEDS)
    settings = [cell.cell.identity.setting for cell in cells]
    assert [(one.instruction, one.budget) for one in settings] == [
        ("", 0),
        ("original", 2),
        ("simplified", 2),
    ]
    trained = cells[1].estimate
    assert (trained.train_instances, trained.steps, trained.test_instances) == (6, 1, 10)
    assert cells[2].estimate.train_tokens < trained.train_tokens
    assert trained.checkpoint_bytes
    assert trained.seconds == pytest.approx(trained.train_tokens / 1000 + 0.1 + 1)
    told = "\n".join(summary(plan, cells))
    assert "4 asked for, 3 distinct cells (0 untuned added): 0 done, 3 to run" in told


def test_a_plan_says_at_which_rate_each_method_trains(tmp_path: Path) -> None:
    plan = compose_plan(words(tmp_path, "method=full,lora", "trainer.learning_rate=1e-4"))
    (line,) = (line for line in summary(plan, planned(plan, SPEEDS)) if "learning rate" in line)
    assert line.startswith("learning rates as trained: full 0.0001; lora 0.001 (0.0001 x 10)")
    plain = compose_plan(words(tmp_path))
    assert "learning rate" not in "".join(summary(plain, planned(plain, SPEEDS)))


def test_an_experiment_and_its_untuned_models_are_planned(tmp_path: Path) -> None:
    plan = compose_plan(("model=tiny_llama", "data_budget=2,8", "seed=0,1", f"cache={tmp_path}"))
    assert (plan.asked, len(plan.cells), plan.added) == (4, 5, 1)


def test_a_budget_cuts_where_what_fits_can_be_analysed(tmp_path: Path) -> None:
    plan = compose_plan(words(tmp_path, "seed=0,1"))
    free = planned(plan, SPEEDS)
    spent = sum(cell.estimate.seconds or 0 for cell in free[:3])
    cells = planned(plan, SPEEDS, spent + 0.01)
    assert [cell.fits for cell in cells] == [True, True, True, False, False]
    assert {cell.cell.config.seed for cell in cells[1:3]} == {0}
    with pytest.raises(UserError, match="--probe"):
        planned(plan, {}, 10.0)


@pytest.mark.parametrize(("text", "seconds"), [("8h", 28800), ("90min", 5400), ("1.5d", 129600), ("20s", 20)])
def test_budgets_are_read(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


def test_a_budget_without_a_unit_is_refused() -> None:
    with pytest.raises(UserError, match="such as 8h"):
        parse_budget("8")


def test_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean"):
        compose_plan(("instruction=simplifed",))
    with pytest.raises(UserError, match="at least one step"):
        probe([], 0)


def test_the_command_tells_that_nothing_was_measured(tmp_path: Path) -> None:
    told = CliRunner().invoke(command, [*words(tmp_path), "--brief"])
    assert told.exit_code == 0, told.output
    assert "--probe 20 measures them" in told.output


@pytest.mark.slow
def test_a_probe_measures(tmp_path: Path) -> None:
    plan = compose_plan(words(tmp_path))
    (speed,) = probe(plan.cells, 2).values()
    assert speed.tokens > 0
    assert speed.instances > 0
    assert not list(tmp_path.glob("*/*/record.json"))


def test_values_that_no_step_has_are_refused_before_they_are_counted() -> None:
    with pytest.raises(UserError, match=r"^trainer\.batch_size=0 must be at least 1$"):
        compose_plan(["trainer.batch_size=0"])


def one_cell(folder: Path, state: str = "missing", fits: bool = True, **given: Any) -> PlannedCell:
    """A planned cell of these estimates."""
    config = make_config(folder, keep_checkpoints=given.pop("keep", False), seed=given.pop("seed", 0))
    figures = {
        "train_instances": 1000, "train_tokens": 20_000, "steps": 50, "test_instances": 3000,
        "checkpoint_bytes": 10**9, "seconds": 3725.0,
    }  # fmt: skip
    return PlannedCell(Cell((), config, identify(config)), state, Estimate(**{**figures, **given}), fits)


@pytest.fixture
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


@pytest.mark.usefixtures("_inputs")
def test_the_table_of_cells(tmp_path: Path) -> None:
    cells = [
        one_cell(tmp_path),
        one_cell(tmp_path, "done"),
        one_cell(tmp_path, fits=False),
        one_cell(tmp_path, seconds=None),
    ]
    table = plan_table(cells)
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}
    assert list(columns) == ["cell", "state", "instances", "steps", "tokens", "tested", "time"]
    assert columns["state"] == ["missing", "done", "over budget", "missing"]
    assert columns["time"] == ["1:02:05", "", "1:02:05", "?"]
    assert [columns[name][0] for name in ("instances", "steps", "tokens", "tested")] == [
        "1,000", "50", "20,000", "3,000"
    ]  # fmt: skip
    assert [column.justify for column in table.columns] == ["left", "left"] + 5 * ["right"]
    assert [row.style for row in table.rows] == ["", "", "dim", ""]


@pytest.mark.usefixtures("_inputs")
def test_what_is_done_is_not_refused_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faults(configs: list[Config], ranks: bool) -> tuple[list[str], list[str]]:
        return [f"seed {one.seed}" for one in configs if one.seed], []

    monkeypatch.setattr("instruct_ablate.grid.planning.plan.planned_faults", faults)
    done, failed = one_cell(tmp_path, "done", seed=1), one_cell(tmp_path, "failed", seed=2)
    plan = Plan([done.cell, failed.cell], [], 2)
    assert check_planned(plan, [done, one_cell(tmp_path)]) == []
    with pytest.raises(UserError, match=r"^seed 2$"):
        check_planned(plan, [done, failed])


@pytest.mark.usefixtures("_inputs")
def test_what_a_grid_amounts_to(tmp_path: Path) -> None:
    cells = [
        one_cell(tmp_path),
        one_cell(tmp_path, seconds=75.0, keep=True, checkpoint_bytes=2 * 10**9),
        one_cell(tmp_path, "done"),
        one_cell(tmp_path, fits=False),
    ]
    lines = summary(Plan([one.cell for one in cells], [], 7, 1), cells)
    assert lines == [
        "7 asked for, 4 distinct cells (1 untuned added): 1 done, 2 to run, 1 over the budget",
        "training: 2,000 instances, 100 steps, about 40,000 tokens; testing: 6,000 predictions",
        f"disk: checkpoints up to {AT_ONCE * 2:.2f} GB for each running cell, {AT_ONCE * 2:.2f} GB kept afterwards",
        "time: about 1:03:20, one cell after the other",
    ]


@pytest.mark.usefixtures("_inputs")
def test_what_a_forecast_rests_on_is_said(tmp_path: Path) -> None:
    cells = [
        one_cell(tmp_path, measured_on=str(GPU)),
        one_cell(tmp_path, "done", tokens_counted=False),
        one_cell(tmp_path, tokens_counted=False, measured_on=str(GPU)),
    ]
    measured = {**SPEEDS, Way("tiny_llama", "full", GPU): Speed(1000, 1.0, 100, 1.0, 1.0, 1)}
    lines = summary(Plan([one.cell for one in cells], [], 3), cells, measured)
    assert lines[2].startswith(
        "tokens of tiny_llama: four characters are taken for one, for no tokenizer.json"
    )
    assert lines[-2:] == [
        "time: tiny_llama as measured on H200 (cuda, bf16)",
        f"time: measured on another machine, and not counted in: tiny_llama on {Machine()}",
    ]
    assert not any("characters" in line for line in summary(Plan([cells[0].cell], [], 1), cells[:2]))


@pytest.mark.usefixtures("_inputs")
def test_the_largest_training_says_what_memory_it_takes(tmp_path: Path) -> None:
    one = one_cell(tmp_path)
    two = [replace(one, estimate=replace(one.estimate, training_bytes=size)) for size in (None, 36 * 10**8)]
    lines = summary(Plan([cell.cell for cell in two], [], 2), two)
    assert lines[3].startswith("memory: up to 3.60 GB for weights, gradients and optimiser (")
    assert not any(line.startswith("memory") for line in summary(Plan([one.cell], [], 1), two[:1]))


@pytest.mark.usefixtures("_inputs")
def test_the_disk_that_frozen_layers_take_is_said(tmp_path: Path) -> None:
    one = one_cell(tmp_path)

    def told(*cells: tuple[str, float, str]) -> list[str]:
        planned = []
        for layers, gigabytes, cache in cells:
            trainer = replace(one.cell.config.trainer, frozen_cache_gb=gigabytes)
            method = replace(one.cell.config.method, name="lora", layers=layers)
            config = replace(one.cell.config, method=method, trainer=trainer, cache=cache)
            planned.append(replace(one, cell=replace(one.cell, config=config)))
        lines = summary(Plan([cell.cell for cell in planned], [], len(cells)), planned)
        return [line for line in lines if line.startswith("disk: what frozen layers give")]

    assert told(("all", 8, "a"), ("top:2", 0, "a")) == []
    said = told(("top:2", 2.5, "a"), ("top:1", 8, "a"), ("top:1", 1, "b"))
    assert [line.partition("is kept in ")[2].partition(" for all")[0] for line in said] == [
        "a/frozen, up to 8 GB",
        "b/frozen, up to 1 GB",
    ]


def test_frozen_layers_take_as_much_disk_as_is_said_and_not_more(tmp_path: Path) -> None:
    more = ("method=lora", "method.layers=top:1", "model=tiny_llama", "instruction=original", "data_budget=2")
    tests = ("data_budget.tasks=3", "tasks.test_instances=3", "evaluation.instructions=[original,delusive]")

    def kept(name: str, gigabytes: float) -> tuple[float, list[int], int]:
        """Run a cell; return the bytes said, those of each batch's states, and those of all files."""
        bound = f"trainer.frozen_cache_gb={gigabytes!r}"
        plan = compose_plan(words(tmp_path / name, *more, *tests, "trainer.progress=false", bound))
        cells = planned(plan, SPEEDS)
        (line,) = (one for one in summary(plan, cells) if one.startswith("disk: what frozen layers give"))
        assert run_cell(cells[-1].cell.config).state == "done"
        files = [one for one in (tmp_path / name / "cache" / "frozen").rglob("*") if one.is_file()]
        states = [one.stat().st_size for one in files if one.name == "states"]
        said = float(line.partition("up to ")[2].partition(" GB")[0]) * 1e9
        return said, states, sum(one.stat().st_size for one in files)

    said, whole, _ = kept("all of it", 8)
    assert 0 < sum(whole) < said
    said, states, disk = kept("half of it", round(sum(whole) / 2e9, 6))
    assert sum(states) <= said < sum(whole)
    assert said - sum(states) < max(whole)  # it ended at a batch that there was no room for
    assert disk < 1.02 * sum(states)  # keys, checksums and lists of files stand beside


@pytest.mark.usefixtures("_inputs")
def test_what_is_not_known_of_a_grid_is_said(tmp_path: Path) -> None:
    cells = [one_cell(tmp_path, seconds=None, checkpoint_bytes=None), one_cell(tmp_path, seconds=60.4)]
    lines = summary(Plan([one.cell for one in cells], [], 2), cells)
    assert "over the budget" not in lines[0]
    assert lines[2] == "disk: checkpoints of unknown size: `instruct-ablate prepare` fetches the model first"
    assert lines[3:] == [
        "time: 1 cell of models never measured so; --probe 20 measures them",
        "time: about 0:01:00, one cell after the other",
    ]
    assert len(summary(Plan([], [], 0), [one_cell(tmp_path, "done")])) == 3


def test_tasks_held_out_are_named_once(tmp_path: Path) -> None:
    words = ("model=tiny_llama", "tasks.validation=2", f"output={tmp_path}", f"cache={tmp_path}", "seed=0,1")
    plan = compose_plan(words)
    told = [line for line in summary(plan, planned(plan, {})) if line.startswith("tasks.validation=2: of ")]
    assert len(told) == 1


@pytest.mark.usefixtures("_inputs")
def test_a_done_cell_takes_nothing_of_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [one_cell(tmp_path, seed=seed).cell for seed in range(3)]
    states = dict(zip((cell.identity.hash for cell in cells), ("done", "missing", "failed"), strict=True))
    monkeypatch.setattr(Records, "state", lambda self, folder, identity: states[identity])
    monkeypatch.setattr(
        "instruct_ablate.grid.planning.plan.Estimator.estimate",
        lambda self, config: Estimate(1, 1, 1, 1, 1, 10.0),
    )
    found = planned(Plan(cells, [], 3), {}, 10.0)
    assert [(one.state, one.fits) for one in found] == [("done", True), ("missing", True), ("failed", False)]
    assert [one.fits for one in planned(Plan(cells, [], 3), {}, 20.0)] == [True, True, True]
    assert all(one.fits for one in planned(Plan(cells, [], 3), {}))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "?"), (0.4, "0:00:00"), (59.6, "0:01:00"), (3599.0, "0:59:59"), (36000.0, "10:00:00")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m", 60.0), ("1min", 60.0), ("2s", 2.0), (" 1h ", 3600.0), ("1d", 86400.0), ("0.5h", 1800.0)],
)
def test_units_of_a_budget(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "8 h", "1w", "-1h", "1.h", "8hh"])
def test_budgets_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="give a number and a unit"):
        parse_budget(text)
