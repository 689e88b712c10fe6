from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.commands.plan import command
from instruct_ablate.errors import UserError
from instruct_ablate.grid.estimate import Speed
from instruct_ablate.grid.plan import compose_plan, parse_budget, planned, summary
from instruct_ablate.grid.probe import probe

GRID = ("model=tiny_llama", "instruction=original,simplified", "data_budget=0,2", "tasks.test_tasks=2")
SPEEDS = {("tiny_llama", "full"): Speed(1000, 1.0, 100, 1.0, 1.0, 1)}


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
