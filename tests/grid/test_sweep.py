from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.after.rescore import model_needed
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord, Failure
from instruct_ablate.cell.state.setting.setting import make_setting
from instruct_ablate.grid.planned_cell import Cell, study_folder
from instruct_ablate.grid.rounds import Judge
from instruct_ablate.grid.study import read_study
from instruct_ablate.grid.sweep import Reporter, _advice, _summary, _todo, _warn_of_model
from instruct_ablate.metrics.likelihood import PER_BYTE, PER_TOKEN
from tests.grid.conftest import ROOT, Train
from tests.standins import make_config, replace_inputs, work

GRID = ("-m", "instruction=simplified,delusive,original", "data_budget=0,8", "model=tiny_llama")


def states(folder: Path, study: str = "ablation") -> dict[str, str]:
    return {
        cell.name.rpartition("-")[0]: cell.state for cell in read_study(folder / "multirun" / study).cells
    }


def test_a_grid_runs_once_and_is_skipped_afterwards(train: Train, tmp_path: Path) -> None:
    first = train(*GRID)
    assert first.returncode == 0, first.stderr
    assert "6 cells asked for, 4 distinct" in first.stdout
    assert states(tmp_path) == {
        "tiny_llama-untuned": "done",
        "tiny_llama-original-8-s0": "done",
        "tiny_llama-simplified-8-s0": "done",
        "tiny_llama-delusive-8-s0": "done",
    }
    again = train(*GRID)
    assert again.returncode == 0
    assert "4 done and skipped, 0 to run" in again.stdout
    assert "Launching" not in again.stdout
    assert "Traceback" not in first.stderr + again.stderr
    assert "Warning" not in first.stderr + again.stderr


def test_a_list_that_needs_no_order_is_one_cell_in_any(train: Train, tmp_path: Path) -> None:
    orders = "[starter00*,starter101*]", "[starter101*,starter00*]"
    words = ("data_budget=0", "model=tiny_llama", "instruction=original")
    both = train("-m", f"tasks.include={','.join(orders)}", *words)
    assert both.returncode == 0, both.stderr
    assert "2 cells asked for, 1 distinct" in both.stdout
    assert len(states(tmp_path)) == 1
    again = train("-m", f"tasks.include={orders[1]}", *words)
    assert again.returncode == 0, again.stderr
    assert len(states(tmp_path)) == 1, "it is found, however it is asked for"


def test_a_done_cell_that_only_its_model_could_score_further_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    record = run_cell(config, work)
    config.evaluation.metrics = ["reference_log_likelihood"]
    _warn_of_model(Cell((), config, replace(identify(config), name=record.name)))
    assert caplog.messages == [f"{record.name}: {model_needed((PER_TOKEN, PER_BYTE))}"]


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("done", [True, False])
def test_a_sweep_ends_with_its_report_or_with_the_way_to_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    at_end: bool,
    done: bool,
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path / "my results")
    config.report.at_end = at_end
    identity = identify(config)
    if done:
        identity = replace(identity, name=run_cell(config, work).name)
    called: list[tuple[str, Path]] = []
    report = Reporter(
        lambda folder: called.append(("table", folder)),
        lambda folder: called.append(("close", folder)),
        Judge,
    )
    folder = study_folder(config)
    assert _summary(folder, [Cell((), config, identity)], report) == (0 if done else 1)
    assert called == [("table", folder), *([("close", folder)] if done and at_end else [])]
    way = f"Statistics, figures and a page: instruct-ablate report '{folder}'"
    assert (way in capsys.readouterr().out) == (done and not at_end)


def test_each_study_is_named_whose_new_scores_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before: a sweep over two studies named the first alone, and told all runs as its."""
    replace_inputs(monkeypatch)
    caplog.set_level("INFO")
    cells = []
    for study, seed in (("one", 0), ("two", 0), ("two", 1)):
        config = make_config(tmp_path, study=study, seed=seed)
        record = run_cell(config, work)
        cells.append(Cell((), config, replace(identify(config), name=record.name)))
    monkeypatch.setattr("instruct_ablate.grid.sweep._scored_further", lambda *_: iter(("scored", "runs")))
    assert _todo(cells) == ([], [])
    told = [record.getMessage() for record in caplog.records if "wait for" in record.getMessage()]
    assert told == [
        f"the new scores of 1 W&B run wait for `instruct-ablate sync {tmp_path / 'one'}`",
        f"the new scores of 2 W&B runs wait for `instruct-ablate sync {tmp_path / 'two'}`",
    ]


def test_untuned_and_reference_run_first(train: Train) -> None:
    launched = [line for line in train(*GRID).stdout.splitlines() if line.startswith("\t#")]
    assert "data_budget='0'" in launched[0]
    assert "instruction=original" in launched[1]


def test_an_untuned_model_is_told_what_the_others_leave_as_it_is(train: Train, tmp_path: Path) -> None:
    train("-m", "model=tiny_llama", "method=lora", "method.layers=top:1", "data_budget=2")
    told = {path.parent.name: path.read_text() for path in (tmp_path / "multirun").glob("*/*/config.yaml")}
    assert len(told) == 2
    assert all(("keep_below: top:1" in text) == ("untuned" in name) for name, text in told.items())


def test_a_failed_cell_stops_no_other_and_is_named(train: Train, tmp_path: Path) -> None:
    run = train(*GRID, STANDIN_FAIL="simplified")
    assert run.returncode == 1
    assert "failed: tiny_llama-simplified-8-s0-" in run.stderr
    assert "RuntimeError: it broke" in run.stderr
    assert sorted(states(tmp_path).values()) == ["done", "done", "done", "failed"]
    kept = train(*GRID, "retry=none")
    assert kept.returncode == 1
    assert "1 failed and kept (retry=none), 0 to run" in kept.stdout
    assert train(*GRID).returncode == 0
    assert set(states(tmp_path).values()) == {"done"}


def test_fail_fast_stops_at_the_first_failure(train: Train, tmp_path: Path) -> None:
    run = train(*GRID, "fail_fast=true", STANDIN_FAIL="original")
    assert run.returncode == 1
    assert sorted(states(tmp_path).values()) == ["done", "failed", "missing", "missing"]


def test_a_claim_without_cells_is_told_before_the_first_one_starts(train: Train, tmp_path: Path) -> None:
    claims = "hypotheses=[simplified equals original on rougeL within 5,delusive equals original on rougeL within 5]"
    words = ("-m", "model=tiny_llama", "data_budget=8", claims)
    first = train(*words, "instruction=original,simplified")
    assert first.returncode == 0, first.stderr
    told = [line for line in (first.stdout + first.stderr).splitlines() if "It will end as" in line]
    assert len(told) == 1
    assert "'delusive equals original on rougeL within 5': no planned cell is 'delusive'" in told[0]
    assert states(tmp_path)["tiny_llama-simplified-8-s0"] == "done"
    second = train(*words, "instruction=delusive,empty")  # the original one is there
    assert "It will end as" not in second.stdout + second.stderr


def test_one_cell_takes_the_same_path(train: Train, tmp_path: Path) -> None:
    assert train("model=tiny_llama").returncode == 0
    assert states(tmp_path) == {"tiny_llama-original-4-s0": "done"}
    assert "1 done and skipped" in train("-m", "model=tiny_llama", "instruction=original").stdout


def test_a_baseline_is_one_cell_over_models_seeds_and_budgets(train: Train, tmp_path: Path) -> None:
    run = train(
        "-m", "model=uniform_guess", "seed=0,1", "data_budget=0,2,8", "instruction=original,simplified"
    )
    assert run.returncode == 0, run.stderr
    assert states(tmp_path) == {"uniform_guess": "done"}


def test_an_experiment_runs_its_own_grid_with_smaller_overrides(train: Train, tmp_path: Path) -> None:
    run = train("-m", "experiment=kung_peng_low_resource", "model=tiny_t5", "data_budget=0,2", "seed=0")
    assert run.returncode == 0, run.stderr
    found = states(tmp_path, "kung_peng_low_resource")
    assert set(found) == {
        "tiny_t5-untuned",
        "tiny_t5-original-2-s0",
        "tiny_t5-simplified-2-s0",
        "tiny_t5-no_definition-2-s0",
        "uniform_guess",
        "majority",
        "label_prior",
    }
    study = read_study(tmp_path / "multirun" / "kung_peng_low_resource")
    assert any("original exceeds untuned" in claim for claim in study.hypotheses)


def test_all_faults_are_told_before_anything_starts(train: Train, tmp_path: Path) -> None:
    run = train("-m", "model=tiny_llama", "seed=0,x", "trainer.epochs=1,many")
    assert run.returncode == 2
    assert "'x'" in run.stderr
    assert "'many'" in run.stderr
    assert not (tmp_path / "multirun" / "ablation" / "study.json").exists()


def test_an_experiment_runs_its_grid_without_m_too(train: Train, tmp_path: Path) -> None:
    assert (
        train("experiment=kung_peng_definitions", "model=tiny_t5", "seed=0", "data_budget=10").returncode == 0
    )
    assert len(states(tmp_path, "kung_peng_definitions")) == 4  # three variants and the untuned model


def test_a_sweep_that_trains_asks_for_the_untuned_model_once(train: Train, tmp_path: Path) -> None:
    words = ("-m", "model=tiny_llama", "data_budget=2,8", "seed=0,1")
    assert train(*words, "with_untuned=false").returncode == 0
    assert not any("untuned" in name for name in states(tmp_path))
    again = train(*words)
    assert "5 cells: 4 done and skipped, 1 to run" in again.stdout
    assert states(tmp_path)["tiny_llama-untuned"] == "done"


def test_leaving_needs_a_launcher_whose_jobs_outlive_the_command(train: Train) -> None:
    run = train("-m", "model=tiny_llama", "detach=true")
    assert run.returncode == 2
    assert "hydra/launcher=submitit_slurm" in run.stderr


def test_a_launcher_that_gives_up_leaves_its_cells_on_disk(train: Train, tmp_path: Path) -> None:
    run = train("-m", "model=tiny_llama", "hydra/launcher=ray")
    assert run.returncode == 2
    assert "instruct-ablate[ray]" in run.stderr


def test_a_read_only_study_is_one_clear_message(train: Train, tmp_path: Path) -> None:
    (tmp_path / "multirun").write_text("a file where the folder should be")
    run = train("model=tiny_llama")
    assert run.returncode == 2
    assert run.stderr.startswith("error: cannot write")
    assert "Traceback" not in run.stderr


def test_sigterm_stops_the_sweep_and_the_same_command_goes_on(train: Train, tmp_path: Path) -> None:
    code = (
        "import time, pytest, tests.grid.standin_train as s; from tests import standins; p = pytest.MonkeyPatch();"
        "s.replace_inputs(p); p.setattr(s.runner, '_work', lambda job: time.sleep(250)); s.main()"
    )
    words = [sys.executable, "-c", code, "model=tiny_llama"]
    process = subprocess.Popen(
        words, cwd=tmp_path, env={"PYTHONPATH": f"{ROOT}:{ROOT}/src", "PATH": "/usr/bin:/bin"}
    )
    while not list(tmp_path.glob("multirun/*/*/record.json")):  # a lock beats before there is a record
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=200) != 0
    assert set(states(tmp_path).values()) == {"interrupted"}
    assert train("model=tiny_llama").returncode == 0
    assert set(states(tmp_path).values()) == {"done"}


@pytest.mark.parametrize(
    ("cells", "axes"),
    [
        (2, ["instruction=simplified,original"]),
        pytest.param(
            200,
            [
                "instruction=simplified,delusive,original,no_definition,no_examples",
                "seed=0,1,2,3",
                "data_budget=1,2,3,4,5,8,10,20,50,100",
            ],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_finished_study_is_skipped_in_little_memory(cells: int, axes: list[str], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.grid.skipped_train", "-m", *axes, "with_untuned=false"]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT}/src", "PATH": "/usr/bin:/bin"}
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True)
    again = subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert f"{cells} done and skipped" in again.stdout
    assert int(again.stdout.rpartition("peak ")[2]) < 300 * 1024


def test_a_sweep_until_decided_stops_and_stays_what_it_was(train: Train, tmp_path: Path) -> None:
    claim = "hypotheses=['simplified equals original on exact_match within 2']"
    grid = ("-m", "instruction=original,simplified", "model=tiny_llama", "seed=0,1,2,3,4", claim)
    run = train(*grid, "data_budget=8", "until=decided")
    assert run.returncode == 0, run.stderr
    assert "6 of 11 cells saved (55 %)" in run.stdout
    assert sorted(states(tmp_path).values()) == ["done"] * 5
    refused = train(*grid, "data_budget=4,8")
    assert refused.returncode == 2, refused.stdout
    assert "10 of 21 cells are not of its grid" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(states(tmp_path).values()) == ["done"] * 5


def test_debugging_raises_the_fault_where_it_happens_and_writes_beside_no_result(
    train: Train, tmp_path: Path
) -> None:
    words = ("debug=fast", "model=tiny_llama", "hydra/launcher=local_pool")
    broken = train(*words, STANDIN_FAIL="tiny_llama")
    assert broken.returncode == 1
    assert "standins.py" in broken.stderr  # the traceback's last file
    assert "RuntimeError: it broke" in broken.stderr
    assert train(*words).returncode == 0
    assert not (tmp_path / "multirun").exists()
    (cell,) = read_study(tmp_path / "debug" / "fast").cells
    assert (cell.state, cell.setting.get("trainer.max_steps")) == ("done", 2)
    grid = train("-m", *words, "data_budget=2,4", "seed=1", "instruction=original")
    assert grid.returncode == 0, grid.stderr
    assert len(read_study(tmp_path / "debug" / "fast").cells) == 4


NAN, PASSING, STOPPED = Failure("the loss became nan", "", 1, lasting=True), Failure("killed", ""), None


@pytest.mark.parametrize(
    ("failures", "kept", "told"),
    [
        ([PASSING, STOPPED], False, "run the same command again"),
        ([NAN], False, "it would fail so again: first do what the line above says"),
        ([NAN, NAN], False, "they would fail so again: first do what the lines above say"),
        (
            [NAN, PASSING, STOPPED],
            False,
            "run the same command again; 1 of them would fail so again: first do what the line above says",
        ),
        ([PASSING], True, "retry=none keeps what failed: leave it out to try again"),
    ],
)
def test_to_run_again_is_advised_where_it_may_help(
    failures: list[Failure | None], kept: bool, told: str
) -> None:
    """Before: a loss that became nan ended with it too."""
    records = [
        CellRecord(
            "ab", "tiny", make_setting({}, {}), 0, "failed" if failure else "interrupted", failure=failure
        )
        for failure in failures
    ]
    assert _advice(records, kept) == told
