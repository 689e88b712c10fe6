"""W&B: offline without a key and never a question; the run's id is the cell's, a failed cell is a failed run."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb import Table

from instruct_ablate.cell.mirror import wandb_run
from instruct_ablate.cell.mirror.wandb_run import (
    WandbRun,
    compares,
    has_key,
    job_type,
    keyless,
    open_run,
    resolved_mode,
    run_id,
    server_address,
    shown_config,
    tags,
)
from instruct_ablate.cell.state.record.record import Failure
from instruct_ablate.cell.state.store import TRAINED
from instruct_ablate.grid.study import read_study
from instruct_ablate.schema import Config, LoggerConfig
from tests.cell.mirror.runs import Run
from tests.cell.mirror.test_mirror import IDENTITY
from tests.grid.small import TASKS, records, sweep
from tests.report.cells import make_cell, place
from tests.report.rows.test_columns import OWN, with_own
from tests.report.studies import write_study
from tests.standins import make_config


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user without a key, in the environment or at home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Every run that was opened."""
    found: list[Run] = []

    def init(settings: dict[str, Any], mode: str, timeout: float) -> Run:
        if mode == "online":
            raise ConnectionError("unreachable")
        found.append(Run(mode=mode, **settings))
        return found[-1]

    monkeypatch.setattr(wandb_run, "open_run", init)
    return found


def test_without_a_key_it_is_offline_whatever_is_asked(monkeypatch: pytest.MonkeyPatch):
    assert resolved_mode(LoggerConfig("wandb")) == "offline"
    assert resolved_mode(LoggerConfig("wandb", mode="online")) == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert resolved_mode(LoggerConfig("wandb")) == "online"
    assert resolved_mode(LoggerConfig("wandb", mode="offline")) == "offline"


def test_identity_makes_the_run(opened: list[Run], tmp_path: Path):
    config = replace(Config(), study="s", logger=LoggerConfig("wandb"))
    WandbRun(config, IDENTITY, tmp_path)
    given = opened[0].given
    assert (given["id"], given["group"], given["job_type"]) == (IDENTITY.hash[:16], "s", "train")
    assert "instruction:original" in given["tags"]
    assert given["config"]["seed"] == 0
    assert given["config"]["axes"]["instruction"] == "original"
    assert given["id"] == run_id(IDENTITY.hash)


def test_a_resumed_cell_logs_no_step_twice(
    opened: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: the steps since the last checkpoint stood there twice after a kill, for the run goes on."""
    told: list[tuple[str, int | None]] = []

    class Recording:
        def __init__(self, experiment: Run) -> None:
            self.experiment = experiment

        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            told.append((next(iter(metrics)), step))

    monkeypatch.setattr("pytorch_lightning.loggers.WandbLogger", Recording)

    def go_on(*steps: int) -> list[tuple[str, int | None]]:
        told.clear()
        (logger,) = WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, tmp_path).loggers()
        for step in steps:
            logger.log_metrics({"train/loss": 1.0}, step)
            logger.log_metrics({"curve/original/rougeL": 1.0}, step)
        logger.log_metrics({"original/task_mean/rougeL": 1.0}, steps[0])
        return [*told]

    def killed_after(*steps: int) -> None:
        (tmp_path / "wandb" / f"offline-run-2026-{run_id(IDENTITY.hash)}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "training.jsonl").write_text(
            "".join(f'{{"step": {step}, "loss": 1.0}}\n' for step in steps)
        )

    loss, point, score = "train/loss", "curve/original/rougeL", "original/task_mean/rougeL"
    assert go_on(1) == [(loss, 1), (point, 1), (score, 1)]
    killed_after(1, 2, 3)
    # scores after the last step may have been what it was killed in
    assert go_on(2, 3, 4) == [(point, 3), (loss, 4), (point, 4), (score, 2)]
    killed_after(1, 2)  # again, before it had come so far
    assert go_on(2, 3, 4) == [(point, 3), (loss, 4), (point, 4), (score, 2)]


def test_another_logger_s_curve_is_logged_whole(opened: list[Run], tmp_path: Path) -> None:
    (tmp_path / "training.jsonl").write_text('{"step": 7, "loss": 1.0}\n')
    assert WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, tmp_path).before == 0


def test_an_unreachable_server_means_offline(opened: list[Run], tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, tmp_path)
    assert opened[0].given["mode"] == "offline"
    assert "cannot be reached" in caplog.text


def test_a_done_cell_tells_scores_and_predictions(opened: list[Run], tmp_path: Path):
    cell = make_cell(50.0)
    write_study(tmp_path / "s", [cell])
    run = WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, tmp_path / "s" / cell.name)
    run.finish(cell)
    assert (
        opened[0].summary["original/classification/exact_match"] == opened[0].summary["exact_match"] == 50.0
    )
    assert opened[0].summary["generation_rougeL"] == 40.0
    assert opened[0].exit_code == 0
    assert len(opened[0].logged["predictions"].data) == 4
    assert {row[1] for row in opened[0].logged["scores"].data} == {"task_c", "task_g"}


def test_the_service_stays_after_whole_offline_runs_alone(
    opened: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cell, kept = make_cell(50.0), []
    write_study(tmp_path / "s", [cell])
    monkeypatch.setattr(wandb_run.SERVICE_PROCESS, "is_good", lambda: kept.append(True))
    config, folder = replace(Config(), logger=LoggerConfig("wandb")), tmp_path / "s" / cell.name
    WandbRun(config, IDENTITY, folder).finish(replace(cell, state="failed", failure=Failure("it", "", 1)))
    assert kept == []
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)  # online, which fails here
    WandbRun(config, IDENTITY, folder).finish(cell)
    assert kept == []
    monkeypatch.delenv("WANDB_API_KEY")
    WandbRun(config, IDENTITY, folder).finish(cell)
    assert kept == [True]


def test_a_users_metric_reaches_summary_and_tables(opened: list[Run], tmp_path: Path):
    study = write_study(tmp_path / "s", [with_own(make_cell(75.0), 3.25)])
    (cell,) = read_study(study).cells
    path = study / cell.name / cell.blocks[0].predictions
    path.write_text(path.read_text().replace('"values": {', f'"values": {{"{OWN.name}": 7.0, '))
    WandbRun(Config(), IDENTITY, study / cell.name).finish(cell)
    (run,) = opened
    assert {value for name, value in run.summary.items() if OWN.name in name} == {3.25}
    scores, predictions = run.logged["scores"], run.logged["predictions"]
    assert {line[-1] for line in scores.data if line[-2] == OWN.name} == {3.25}
    assert {line[predictions.columns.index(OWN.name)] for line in predictions.data} == {7.0}


@pytest.mark.parametrize(("keep", "there"), [(True, True), (True, False), (False, True)])
def test_weights_that_are_kept_are_an_artifact(
    opened: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool, there: bool
):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    cell = make_cell(50.0)
    write_study(tmp_path / "s", [cell])
    folder = tmp_path / "s" / cell.name
    if there:
        (folder / TRAINED).parent.mkdir()
        (folder / TRAINED).write_bytes(b"weights")
    WandbRun(replace(Config(), keep_checkpoints=keep), IDENTITY, folder).finish(cell)
    names = [(one.name, one.type, *one.manifest.entries) for one in opened[0].artifacts]
    assert names == ([(f"model-{run_id(cell.identity)}", "model", "trained.ckpt")] if keep and there else [])
    assert opened[0].exit_code == 0


def test_rows_are_matched_among_runs_where_wandbs_comparing_table_can_be_had(monkeypatch: pytest.MonkeyPatch):
    online, offline = Run(), Run()
    online.offline, offline.offline = False, True
    there: list[str] = []
    monkeypatch.setattr(wandb_run.importlib.util, "find_spec", lambda name: name if name in there else None)
    assert not compares(online), "it needs the package weave"
    there.append("weave")
    assert compares(online)
    assert not compares(offline), "it cannot wait for a later upload"


def test_the_comparing_table_takes_the_instance_as_its_key(
    opened: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wandb_run, "compares", lambda run: True)
    monkeypatch.setattr("wandb.EvalTable", lambda **given: tables.append(given) or Table(given["columns"]))
    tables: list[dict[str, Any]] = []
    cell = make_cell(50.0)
    write_study(tmp_path / "s", [cell])
    WandbRun(Config(), IDENTITY, tmp_path / "s" / cell.name).finish(cell)
    (given,) = tables
    assert given["input_columns"] == ["tested on", "task", "instance_id"]
    assert set(given["input_columns"]) | set(given["score_columns"]) < set(given["columns"])
    assert len(opened[0].logged["predictions"].data) == 4


def test_a_failed_cell_is_a_failed_run(opened: list[Run], tmp_path: Path):
    failed = replace(make_cell(None), state="failed", failure=Failure("it broke", "trace"))
    WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, tmp_path).finish(failed)
    assert opened[0].exit_code == 1
    assert opened[0].summary["failure"] == "it broke"


def test_a_cell_that_is_done_at_last_takes_back_its_failure(opened: list[Run], tmp_path: Path):
    """A run that goes on at a server begins with the summary that it had."""
    cell = make_cell(50.0)
    write_study(tmp_path / "s", [cell])
    run = WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, tmp_path / "s" / cell.name)
    run.finish(replace(cell, state="failed", failure=Failure("it broke", "trace")))
    assert opened[0].summary["failure"] == "it broke"
    run.finish(cell)
    assert "failure" not in opened[0].summary
    assert opened[0].summary["state"] == "done"


def test_the_summary_has_the_curves_last_row(opened: list[Run], tmp_path: Path):
    """Also where training ended in an earlier try, of which this log knows nothing."""
    cell = make_cell(50.0)
    folder = write_study(tmp_path / "s", [cell]) / cell.name
    rows = [
        {"step": n, "loss": 3.0 / n, "learning_rate": 0.1, "tokens_per_second": 9.0, "seconds": 1.0}
        for n in (1, 2)
    ]
    (folder / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, folder).finish(cell)
    told = {name: value for name, value in opened[0].summary.items() if name.startswith("train/")}
    assert told == {"train/loss": 1.5, "train/learning_rate": 0.1, "train/tokens_per_second": 9.0}


def test_kinds_and_tags():
    assert job_type(place()) == "train"
    assert job_type(place(data_budget=0)) == "untuned"
    assert job_type(place(data_budget=0, model="uniform_guess")) == "baseline"
    assert all(len(tag) <= 64 for tag in tags(place(model="m" * 100), 0))


def test_what_is_not_the_default_is_a_tag():
    assert "trainer.learning_rate:0.01" in tags(place(lr=0.01), 3)
    assert not any(tag.startswith("trainer.") for tag in tags(place(), 3))
    assert {"num_positive:2", "decoding:greedy", "seed:3"} <= set(tags(place(), 3))


@pytest.mark.slow
def test_a_real_offline_run_is_written(tmp_path: Path):
    cell = make_cell(50.0)
    write_study(tmp_path / "s", [cell])
    folder = tmp_path / "s" / cell.name
    run = WandbRun(replace(Config(), logger=LoggerConfig("wandb")), IDENTITY, folder)
    run.finish(cell)
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    assert run_id(IDENTITY.hash) in log.name
    limit = time.monotonic() + 300  # wandb's own process may write its last block after `finish` has returned
    while log.stat().st_size <= 1000 and time.monotonic() < limit:
        time.sleep(0.1)
    assert log.stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("alive", [True, False])
def test_a_wandb_service_of_another_process_is_no_obstacle(tmp_path: Path, alive: bool):
    import wandb

    wandb.setup()  # keeps a service in this process's working directory, and names it in the environment
    gone = {} if alive else {"WANDB_SERVICE": f"3-99999-unix-{tmp_path}/gone"}
    (tmp_path / "elsewhere").mkdir()
    words = [word for word in TASKS if not word.startswith("logger=")]
    done = sweep(tmp_path / "elsewhere", *words, "data_budget=0", "logger=wandb", **gone)
    assert done.returncode == 0, done.stdout + done.stderr
    (cell,) = records(tmp_path / "elsewhere").values()
    folder = tmp_path / "elsewhere" / "multirun" / "ablation" / cell.name
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    assert log.stat().st_size > 1000
    told = (folder / "log.txt").read_text()
    assert ("would not begin" in told) is not alive, told
    assert "is complete without it" not in told


def test_a_run_is_opened_silently_and_goes_on_where_it_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given: dict[str, Any] = {}
    monkeypatch.setattr("wandb.init", lambda **words: given.update(words) or "a run")
    monkeypatch.chdir(tmp_path)
    assert open_run({"dir": Path("a"), "id": "x"}, "offline", 3.0) == "a run"
    assert (given["mode"], given["resume"], given["id"]) == ("offline", "allow", "x")
    assert given["dir"] == str(tmp_path / "a")
    quiet = given["settings"]
    assert (quiet.silent, quiet.console, quiet.finish_timeout) == (True, "off", 3.0)


@pytest.mark.parametrize(
    ("mode", "variable", "resolved"),
    [
        ("auto", None, "online"),
        ("auto", "online", "online"),
        ("auto", "offline", "offline"),
        ("auto", "disabled", "offline"),
        ("auto", "dryrun", "offline"),
        ("online", "offline", "online"),
        ("offline", "online", "offline"),
    ],
)
def test_the_mode_is_the_configurations_then_wandbs(
    monkeypatch: pytest.MonkeyPatch, mode: str, variable: str | None, resolved: str
):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if variable is not None:
        monkeypatch.setenv("WANDB_MODE", variable)
    assert resolved_mode(LoggerConfig("wandb", mode=mode)) == resolved


def test_a_key_lies_in_the_environment_or_in_netrc_under_the_servers_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not has_key()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password abc\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://own.example:8080/path")
    assert not has_key()
    monkeypatch.setenv("NETRC", str(tmp_path / "own"))
    (tmp_path / "own").write_text("machine own.example:8080 login user password abc\n")
    assert has_key()
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("WANDB_API_KEY", "abc")
    assert has_key()
    monkeypatch.setenv("WANDB_API_KEY", "")
    (tmp_path / ".netrc").write_text("machine own.example:8080 login user password abc\n")
    assert has_key()
    (tmp_path / ".netrc").write_text("nonsense")
    assert not has_key()


def test_the_key_that_wandb_login_keeps_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from wandb.sdk.lib.wbauth.wbnetrc import write_netrc_auth

    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    write_netrc_auth(host=str(wandb.Settings().base_url), api_key="k" * 40)
    assert has_key()
    assert server_address() == wandb.Settings().base_url


def test_what_runs_are_grouped_by_stands_under_axes():
    shown = shown_config(replace(Config(), seed=3), replace(IDENTITY, setting=place(num_positive=1), seed=3))
    assert shown["axes"]["instruction/num_positive"] == "1"
    assert (shown["axes"]["data_budget"], shown["axes"]["instruction"], shown["axes"]["seed"]) == (
        8,
        "original",
        3,
    )
    assert shown["trainer"]["batch_size"] == 8
    assert set(shown["code"]) == {"commit", "versions", "command"}


def test_tags_are_short_and_say_the_seed():
    found = tags(place(num_positive=1, decoding="rank", **{"data_budget.tasks": 3}), 5)
    assert {"num_positive:1", "budget_tasks:3", "decoding:rank", "seed:5", "model:tiny"} <= set(found)
    assert max(map(len, tags(place(model=99 * "m"), 0))) == 64


@pytest.mark.parametrize(("mode", "key", "told"), [("online", "", 1), ("online", "k", 0), ("auto", "", 0)])
def test_runs_that_were_asked_for_online_are_told_of_where_there_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, key: str, told: int
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_API_KEY", key)
    wandb = replace(make_config(tmp_path), logger=LoggerConfig("wandb", mode=mode))
    assert len(list(keyless([wandb, wandb]))) == told
    other = replace(wandb, logger=LoggerConfig("csv", mode=mode))
    assert list(keyless([other])) == []
