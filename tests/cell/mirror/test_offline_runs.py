"""Offline runs: what is finished goes up, in order and once; wandb's own reader finds in the logs what was told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import wandb
from click.testing import CliRunner

from instruct_ablate.cell.mirror.offline_runs import (
    ATTEMPTS,
    OfflineRun,
    offline_runs,
    overtaken,
    sync_runs,
    wandb_sync,
)
from instruct_ablate.cell.mirror.wandb_export import log_exported, tell_again
from instruct_ablate.cell.mirror.wandb_run import WandbRun, run_id
from instruct_ablate.cell.state.record.record import CellRecord, Failure
from instruct_ablate.cell.state.store import write_record
from instruct_ablate.command_line import group
from instruct_ablate.schema import Config, LoggerConfig
from tests.cell.mirror.test_mirror import IDENTITY
from tests.grid.small import TASKS, records, start
from tests.report.cells import make_cell
from tests.report.studies import write_study
from tests.wandb_server import WandbServer


def log_of(study: Path, cell: str, number: int = 1) -> Path:
    """An offline log of a cell, which nobody will read."""
    folder = study / cell / "wandb" / f"offline-run-2026010{number}_000000-{cell}"
    folder.mkdir(parents=True)
    log = folder / f"run-{cell}.wandb"
    log.write_bytes(b"log")
    return log


def test_a_log_is_overtaken_by_what_was_told_online_since(study: Path) -> None:
    assert overtaken(offline_runs(study)) == ()
    for cell, begun in (
        ("done", "20260102_000000"),
        ("failed", "20251231_000000"),
        ("interrupted", "20270101_000000"),
    ):
        (study / cell / "wandb" / f"run-{begun}-{cell}").mkdir()
    assert overtaken(offline_runs(study)) == (study / "done",), "the other one's is older, the third goes on"
    mark(next((study / "done").rglob("*.wandb")))
    assert overtaken(offline_runs(study)) == ()


@pytest.mark.slow
def test_a_first_try_that_is_uploaded_last_takes_nothing_from_its_cell(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not reach the server, and failed; the second one did and could."""
    monkeypatch.setattr("instruct_ablate.cell.mirror.wandb_run.INIT_SECONDS", 200.0)  # on a busy machine
    cell = replace(make_cell(50.0), identity="a" * 64)
    study = write_study(tmp_path / "s", [cell])
    (study / cell.name / "config.yaml").write_text("logger: {name: wandb, mode: online}\n")
    (study / cell.name / "identity.json").touch()
    failed = replace(cell, state="failed", blocks=(), failure=Failure("at first", ""))
    log_cell(study / cell.name, failed, "a" * 64, [3.0])
    time.sleep(1.1)  # wandb names a log by the second
    log_cell(study / cell.name, cell, "a" * 64, [2.0], "online")
    done = CliRunner().invoke(group, ["sync", str(study), "--no-summary"])
    assert done.exit_code == 0, done.output
    told = server.runs["a" * 16]["summary"]
    assert (told["state"], told["exact_match"], told.get("failure")) == ("done", 50.0, None)
    assert server.exit_codes == {"a" * 16: 0}


def mark(log: Path) -> None:
    log.with_name(f"{log.name}.synced").touch()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Cells that are done, failed, interrupted (twice) and running, each with its logs."""
    for state in ("done", "failed", "interrupted", "running"):
        log_of(tmp_path, state)
        record = replace(make_cell(50.0 if state == "done" else None), state=state)
        write_record(
            tmp_path / state, replace(record, failure=Failure("r", "")) if state == "failed" else record
        )
    log_of(tmp_path, "interrupted", 2)
    return tmp_path


def test_logs_are_found_in_order_with_the_cells_state(study: Path) -> None:
    found = offline_runs(study)
    # no process of the running cell is alive: it is an interrupted one
    assert [(run.cell, run.state) for run in found] == [
        ("done", "done"), ("failed", "failed"), ("interrupted", "interrupted"), ("interrupted", "interrupted"),
        ("running", "interrupted"),
    ]  # fmt: skip
    first, second = (run.log.parent.name for run in found if run.cell == "interrupted")
    assert first < second


def test_finished_cells_go_up_once_and_others_are_named(study: Path) -> None:
    asked: list[list[str]] = []

    def upload(logs: Sequence[Path], workers: int) -> str:
        asked.append([log.stem for log in logs])
        assert workers == 3
        for log in logs:
            mark(log)
        return ""

    synced = sync_runs(offline_runs(study), 3, upload, pytest.fail)
    assert asked == [["run-done", "run-failed"]]
    assert [run.cell for run in synced.uploaded] == ["done", "failed"]
    assert [why for _, why in synced.left] == ["its cell is interrupted"] * 3
    assert sync_runs(offline_runs(study), 3, upload, pytest.fail).uploaded == ()
    assert len(asked) == 1


def test_what_fails_is_tried_again_later_and_later(study: Path) -> None:
    waits: list[float] = []

    def upload(logs: Sequence[Path], workers: int) -> str:
        if len(waits) == 2:
            mark(logs[0])
        return "429 Too Many Requests"

    synced = sync_runs(offline_runs(study)[:2], 4, upload, waits.append)
    assert waits == [15, 30, 60]
    assert len(waits) == ATTEMPTS - 1
    assert [run.cell for run in synced.uploaded] == ["done"]
    assert [(run.cell, why) for run, why in synced.left] == [("failed", "429 Too Many Requests")]


def test_killed_halfway_it_goes_on_with_the_rest(study: Path) -> None:
    def killed(logs: Sequence[Path], workers: int) -> str:
        mark(logs[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync_runs(offline_runs(study), 1, killed, pytest.fail)
    asked: list[Path] = []

    def upload(logs: Sequence[Path], workers: int) -> str:
        asked.extend(logs)
        for log in logs:
            mark(log)
        return ""

    sync_runs(offline_runs(study), 1, upload, pytest.fail)
    assert [log.stem for log in asked] == ["run-failed"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A W&B that answers, to a process that has asked no other: wandb reads where its server is once."""
    wandb.teardown()
    monkeypatch.setenv("HOME", str(tmp_path))
    running = WandbServer()
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    yield running
    wandb.teardown()
    running.stop()


def log_cell(
    folder: Path,
    record: CellRecord,
    hash_: str,
    losses: Sequence[float] = (),
    mode: str = "offline",
    measured: bool = False,
) -> None:
    """Mirror a cell: its curve, then its end."""
    config = replace(Config(), study="s", logger=LoggerConfig("wandb", mode=mode))
    run = WandbRun(config, replace(IDENTITY, hash=hash_, name=record.name), folder)
    for loss in losses:
        run.run.log({"loss": loss})
    # wandb measures the machine in the background; a run of milliseconds may be over before.
    deadline = time.monotonic() + 300
    while measured and "memory_percent" not in run.run._system_metrics:
        assert time.monotonic() < deadline, "wandb measures no memory"
        time.sleep(0.05)
    run.finish(record)


@pytest.mark.slow
def test_wandbs_own_reader_finds_all_that_a_cell_told(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_X_STATS_BUFFER_SIZE", "1")  # a run tells what it has measured so far
    done, failed = make_cell(50.0), replace(make_cell(None), name="broken", identity="b" * 64, state="failed")
    failed = replace(failed, failure=Failure("it broke", "trace"))
    study = tmp_path / "s"
    write_study(study, [done, failed])
    first = replace(make_cell(None), name=done.name, state="failed", failure=Failure("at first", ""))
    log_cell(study / done.name, first, "a" * 64, [3.0])
    log_cell(study / done.name, done, "a" * 64, [2.0, 1.0], measured=True)
    log_cell(study / "broken", failed, "b" * 64)
    (study / done.name / "identity.json").touch()
    runs = offline_runs(study)
    assert [run.cell for run in runs].count(done.name) == 2, "the resumed cell has two logs"
    synced = sync_runs(runs, 2)
    assert (len(synced.uploaded), synced.left) == (3, ())

    assert set(server.runs) == {"a" * 16, "b" * 16}, "one run a cell, however often it was resumed"
    told = server.runs["a" * 16]
    assert (told["groupName"], told["jobType"], told["displayName"]) == ("s", "train", done.name)
    assert "instruction:original" in told["tags"]
    assert json.loads(told["config"])["seed"]["value"] == 0
    assert told["summary"]["original/classification/exact_match"] == 50.0
    assert [row["loss"] for row in server.history["a" * 16] if "loss" in row] == [3.0, 2.0, 1.0]
    steps = [row["_step"] for row in server.history["a" * 16]]
    assert steps == sorted(set(steps)), "it goes on behind the first try"
    assert "failure" not in told["summary"]
    assert any("system.memory_percent" in row for row in server.system["a" * 16])
    assert {f"run-{'a' * 16}-scores", f"run-{'a' * 16}-predictions"} <= set(server.tables)
    assert server.exit_codes == {"a" * 16: 0, "b" * 16: 1}
    assert server.runs["b" * 16]["summary"]["failure"] == "it broke"
    assert sync_runs(offline_runs(study), 2, pytest.fail).uploaded == ()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_what_is_told_of_a_run_later_takes_nothing_from_it(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Of a cell that failed at first, is exported, and is scored again: one run, its summary is the record's."""
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "data"))
    monkeypatch.setattr("instruct_ablate.cell.mirror.wandb_run.INIT_SECONDS", 200.0)  # on a busy machine
    cell = replace(make_cell(50.0), identity="a" * 64)
    study = write_study(tmp_path / "s", [cell])
    logger = LoggerConfig("wandb", mode=mode)
    (study / cell.name / "config.yaml").write_text(f"logger: {{name: wandb, mode: {mode}}}\n")
    (study / cell.name / "identity.json").touch()
    exported = tmp_path / "model"
    exported.mkdir()
    (exported / "config.json").write_text("{}")

    def uploaded() -> dict[str, object]:
        time.sleep(1.1)  # wandb names a log by the second, and orders logs so
        assert sync_runs(offline_runs(study), 1, pause=lambda _: None).left == ()
        return dict(server.runs["a" * 16]["summary"])

    failed = replace(cell, state="failed", blocks=(), failure=Failure("at first", ""))
    log_cell(study / cell.name, failed, "a" * 64, [3.0], mode)
    log_cell(study / cell.name, cell, "a" * 64, [2.0], mode)
    assert uploaded()["exact_match"] == 50.0
    assert "failure" not in server.runs["a" * 16]["summary"]
    log_exported(study / cell.name, cell, exported, logger)
    assert uploaded()["exact_match"] == 50.0
    assert tell_again(study / cell.name, replace(make_cell(75.0), name=cell.name, identity="a" * 64))
    told = uploaded()
    assert (told["state"], told["exact_match"], told["eval/original/exact_match"]) == ("done", 75.0, 75.0)
    assert list(server.runs) == ["a" * 16]
    steps = [row["_step"] for row in server.history["a" * 16]]
    assert steps == sorted(set(steps))
    assert server.exit_codes == {"a" * 16: 0}


@pytest.mark.slow
def test_a_server_that_is_busy_is_asked_again(server: WandbServer, tmp_path: Path) -> None:
    cell = make_cell(50.0)
    write_study(tmp_path / "s", [cell])
    log_cell(tmp_path / "s" / cell.name, cell, "a" * 64)
    server.refusals = 2
    synced = sync_runs(offline_runs(tmp_path / "s"), 1, pause=lambda _: None)
    assert len(synced.uploaded) == 1
    assert server.refusals == 0


@pytest.mark.slow
def test_a_log_that_cannot_be_read_is_left_with_the_reason(server: WandbServer, study: Path) -> None:
    (run,) = offline_runs(study)[:1]
    assert wandb_sync([run.log], 1)
    assert not OfflineRun(run.cell, run.log, "done").uploaded


@pytest.mark.slow
def test_wandb_lost_once_a_cell_has_begun_ends_no_cell(server: WandbServer, tmp_path: Path) -> None:
    words = ("seed=0", "with_untuned=false", "data_budget=8", "trainer.batch_size=1", "logger=wandb")
    small = [word for word in TASKS if not word.startswith("logger=")]
    process = start(tmp_path, *small, *words, "logger.mode=online", "logger.timeout=5", **server.environment)
    while process.poll() is None and not server.runs:
        time.sleep(0.05)
    server.stop()
    told, _ = process.communicate(timeout=400)
    assert process.returncode == 0, told
    (cell,) = records(tmp_path).values()
    assert cell.state == "done"
    assert set(server.runs) == {run_id(cell.identity)}, "it had begun to tell"
    assert not server.exit_codes
    assert cell.cost.train_steps == 24
    (log,) = (tmp_path / "multirun" / "ablation" / cell.name).glob("wandb/run-*/*.wandb")
    assert log.stat().st_size > 1000, "what it told lies on the disk"


@pytest.mark.parametrize(
    ("status", "out", "said"),
    [
        (0, "done\n", ""),
        (0, "wandb: ERROR no such run\nbye\n", "wandb: ERROR no such run"),
        (0, "an Error here\nfurther errors\n", "further errors"),
        (1, "first\n  last \n\n", "last"),
        (1, "", "no word from wandb sync"),
    ],
)
def test_what_wandb_sync_says(monkeypatch: pytest.MonkeyPatch, status: int, out: str, said: str) -> None:
    seen: list[list[str]] = []

    def run(words: list[str], **given: object) -> CompletedProcess[str]:
        seen.append(words)
        assert (given["text"], given["capture_output"], given["check"]) == (True, True, False)
        return CompletedProcess(words, status, stdout=out, stderr="")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("instruct_ablate.cell.mirror.offline_runs._no_answer", lambda: "")
    assert wandb_sync([Path("a"), Path("b")], 3) == said
    assert seen[0][1:] == ["-m", "wandb", "sync", "-n", "3", "a", "b"]


def test_a_server_that_cannot_be_reached_is_told_before_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = WandbServer(refusals=0)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("subprocess.run", lambda words, **_: CompletedProcess(words, 0, stdout="", stderr=""))
    assert wandb_sync([Path("a")], 1) == ""
    assert not caplog.messages
    server.stop()
    assert wandb_sync([Path("a")], 1) == ""
    (told,) = caplog.messages
    assert told.startswith(f"no answer from {server.url} (")
    assert "refused" in told
    monkeypatch.setenv("WANDB_BASE_URL", "https://no address/")
    assert wandb_sync([Path("a")], 1) == ""
    assert "control characters" in caplog.messages[-1]


def test_logs_go_up_so_many_at_once_and_a_silent_failure_has_a_reason(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.cell.mirror.offline_runs.AT_ONCE", 1)
    asked: list[int] = []
    synced = sync_runs(offline_runs(study), 1, lambda logs, _: asked.append(len(logs)) or "", lambda _: None)
    assert asked == [1, 1] * ATTEMPTS
    assert [why for run, why in synced.left if run.finished] == ["wandb sync left it"] * 2


def test_the_reports_own_run_is_whole_and_a_cell_without_a_record_is_not(tmp_path: Path) -> None:
    for name in ("report", "cell"):
        log_of(tmp_path, name)
    (tmp_path / "cell" / "identity.json").touch()
    assert [(run.cell, run.state, run.finished) for run in offline_runs(tmp_path)] == [
        ("cell", "missing", False),
        ("report", "done", True),
    ]
