from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.cell.state.environment import environment
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.command_line import group
from instruct_ablate.commands.plan import _measured
from instruct_ablate.cost import Cost
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.looks import CHAIN, Decision, Look
from instruct_ablate.grid.planned_cell import Cell
from instruct_ablate.grid.planning import probe as probing
from instruct_ablate.grid.speeds import Speed, Speeds, Way
from instruct_ablate.schema import ModelConfig
from tests.report.cells import make_cell
from tests.report.studies import write_study

GRID = ("model=tiny_llama", "instruction=original,simplified", "data_budget=2", "logger=none")
FAST = {Way("tiny_llama", "full"): Speed(1000, 1.0, 100, 1.0, 2.0, 1)}


def plan(folder: Path, *words: str) -> Result:
    here = (f"output={folder}", f"cache={folder / 'cache'}", "tasks.test_tasks=2", "tasks.test_instances=5")
    return CliRunner().invoke(group, ["plan", *GRID, *here, *words], env={"COLUMNS": "160"})


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that were asked for; the probe itself is stood in for."""
    asked: list[int] = []

    def measure(cells: list[Cell], steps: int) -> Speeds:
        assert len(cells) == 3
        asked.append(steps)
        return FAST

    monkeypatch.setattr(probing, "probe", measure)
    return asked


def test_the_table_and_the_sums(tmp_path: Path) -> None:
    told = plan(tmp_path)
    assert told.exit_code == 0, told.output
    assert "tiny_llama-simplified-2-s0" in told.output
    assert "2 asked for, 3 distinct cells (1 untuned added): 0 done, 3 to run" in told.output
    assert "testing: 30 predictions" in told.output
    assert "--probe 20 measures them" in told.output


def test_the_sums_alone(tmp_path: Path) -> None:
    told = plan(tmp_path, "--brief")
    assert "tiny_llama-simplified" not in told.output
    assert "noise floor: one seed decides nothing; 3 seeds × 2 test tasks of 5 instances" in told.output
    assert "3 distinct cells" in told.output


def test_budgets_that_cannot_be_met_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    few = ("tasks.train_include=[starter01*]", "data_budget.tasks=30")
    told = plan(tmp_path, *few, "data_budget=1,200", "--brief").output
    assert "budget: data_budget=200 comes to 80 instances a task on average, for tasks have no more" in told
    assert "budget: data_budget.tasks=30 comes to 10, for there are no more to train on" in told
    assert "data_budget=1 " not in told
    assert not any("data_budget.tasks" in line for line in caplog.messages), "once"
    total = plan(tmp_path, *few[:1], "data_budget.total=5000", "--brief").output
    assert "budget: data_budget.total=5000 comes to 800 in all, for tasks have no more instances" in total
    assert not any("data_budget.total" in line for line in caplog.messages), "once"
    assert "budget:" not in plan(tmp_path, "--brief").output


def test_a_probe_gives_times(tmp_path: Path, probed: list[int]) -> None:
    told = plan(tmp_path, "--probe", "7", "--brief")
    assert probed == [7]
    assert "time: about 0:0" in told.output
    assert "never measured" not in told.output


def finished(model: str = "tiny_llama", processor: str = "EPYC") -> CellRecord:
    """A cell that trained 1000 tokens a second and ended two seconds after it began."""
    cost = Cost(train_seconds=1.0, train_tokens=1000, evaluate_seconds=0.5, evaluate_instances=100)
    made = environment("cpu", "fp32", processor=processor, threads=2)
    return replace(make_cell(50.0, model=model), environment=made, cost=cost, started=100.0, finished=102.0)


def test_what_studies_of_the_same_output_took_gives_times_and_those_of_others_none(tmp_path: Path) -> None:
    write_study(tmp_path / "output" / "beside", [finished()])
    write_study(tmp_path / "elsewhere" / "other", [finished(processor="Xeon")])
    told = plan(tmp_path / "output", "--brief").output
    assert "time: tiny_llama as measured on EPYC (cpu, fp32, 2 threads)" in told
    assert "time: about 0:0" in told
    assert "Xeon" not in told


def test_a_probe_stands_for_what_was_measured_in_the_same_way(probed: list[int]) -> None:
    study: Any = SimpleNamespace(cells=[finished(), finished("tiny_t5")])
    cell = SimpleNamespace(config=SimpleNamespace(model=ModelConfig("tiny_llama")))
    none: Any = SimpleNamespace(cells=[cell] * 3)
    before = _measured(none, [study], None)
    assert probed == []
    (same, other) = before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing, "probe", lambda cells, steps: {same: FAST[Way("tiny_llama", "full")]})
        found = _measured(none, [study], 3)
    assert found == {same: FAST[Way("tiny_llama", "full")], other: before[other]}


@pytest.mark.parametrize("words", [("--from", "x"), ("--truth", "1"), ("--truth", "0")])
def test_what_goes_with_decide_is_refused_without_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    told = plan(tmp_path, *words)
    assert isinstance(told.exception, UserError)
    assert f"{words[0]} goes with --decide" in str(told.exception)


def test_what_the_start_alone_can_check_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def faults(configs: list[object], ranks: bool) -> tuple[list[str], list[str]]:
        given.append(len(configs))
        return [], ["the tokenizer", "the adapter"]

    monkeypatch.setattr("instruct_ablate.grid.planning.plan.planned_faults", faults)
    told = plan(tmp_path, "--brief").output
    assert "checked at the start alone: the tokenizer; the adapter" in told
    assert given == [3]


def test_a_budget_cuts(tmp_path: Path, probed: list[int]) -> None:
    told = plan(tmp_path, "--probe", "7", "--budget", "1s")
    assert "3 over the budget" in told.output
    assert "over budget" in told.output
    assert "0 to run, 3 over" in told.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--budget", "soon"), "such as 8h"),
        (("--budget", "8h"), "add --probe"),
        (("instruction=simplifed",), "did you mean 'simplified'"),
        (("instrction=original",), "did you mean 'instruction'"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    result = plan(tmp_path, *words)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_nothing_is_written(tmp_path: Path) -> None:
    plan(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


def test_the_noise_floor_counts_the_seeds_of_what_is_trained(tmp_path: Path) -> None:
    told = plan(tmp_path, "seed=0,1", "--brief")
    assert "noise floor: 2 seeds × 2 test tasks of 5 instances" in told.output
    untuned = plan(tmp_path, "data_budget=0", "instruction=original", "--brief")
    assert "noise floor" not in untuned.output


def test_groups_in_a_folder_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere" / "tasks").mkdir(parents=True)
    (tmp_path / "elsewhere" / "tasks" / "few.yaml").write_text("reader: starter\ntest_tasks: 2\n")
    monkeypatch.chdir(tmp_path)
    words = ["plan", "--brief", "tasks=few", "model=majority", "data_budget=0"]
    result = CliRunner().invoke(group, [*words, "--config-dir", "elsewhere"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "1 distinct cell" in result.output
    again = CliRunner().invoke(group, words)  # the folder was that command's alone
    assert "unknown choice for tasks: 'few'" in str(again.exception)


CLAIM = "hypotheses=[simplified equals original on exact_match within 5]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("seed=0,1,2,3", CLAIM), "needs at least 5 seeds a setting, 4 given"),
        (("seed=0,1,2,3,4",), "until=decided needs hypotheses"),
        (("seed=0,1,2,3,4", CLAIM.replace("simplified", "delusive")), "no planned cell is 'delusive'"),
    ],
)
def test_what_a_sweep_that_stops_refuses_is_refused(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    """Before: the plan was made, and the sweep refused."""
    told = plan(tmp_path, *words, "until=decided")
    assert isinstance(told.exception, UserError)
    assert message in str(told.exception)


def test_the_rounds_of_a_sweep_that_stops_are_told(tmp_path: Path) -> None:
    told = plan(tmp_path, "seed=0,1,2,3,4", CLAIM, "until=decided", "--brief")
    assert told.exit_code == 0, told.output
    assert "until=decided: a round of 5 cells, then 2 + 2 + 2, which looks may find needless" in told.output
    assert "until=decided" not in plan(tmp_path, "seed=0,1,2,3,4", CLAIM, "--brief").output


def test_claims_that_a_grid_leaves_without_cells_are_told(tmp_path: Path) -> None:
    claims = f"{CLAIM[:-1]},delusive equals original on exact_match within 5]"
    told = plan(tmp_path, claims, "--brief")
    assert told.exit_code == 0, told.output
    (line,) = [one for one in told.output.splitlines() if "It will end as" in one]
    assert line.startswith(
        "hypothesis 'delusive equals original on exact_match within 5': no planned cell is"
    )


def test_a_grid_beyond_what_a_study_was_looked_at_for_is_refused(tmp_path: Path) -> None:
    look = Look((0, 1, 2, 3, 4), 2, ("a",), "original", ("x" * 16,), 1, (Decision("a", "supported", True),))
    CHAIN.add(tmp_path / "looked", look)
    for words in (("seed=0",), ("seed=0,1,2,3,4", CLAIM, "until=decided")):
        told = plan(tmp_path, "study=looked", *words)
        assert isinstance(told.exception, UserError)
        assert "has been looked at" in str(told.exception)
