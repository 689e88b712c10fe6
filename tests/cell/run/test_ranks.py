from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.run import ranks
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.ranks import follow
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord, Failure
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.grid.declaration import declare
from instruct_ablate.process.processes import rank
from tests.standins import make_config, replace_inputs, work

CONTEXT = multiprocessing.get_context("fork")


def noting(folder: Path, seconds: float = 1e9) -> object:
    def together(job: Job) -> Outcome:
        (folder / f"worked-{rank()}-{job.leads}").touch()
        end = time.monotonic() + seconds
        while not list(folder.glob("worked-1-*")):  # they meet, as processes that train together do
            assert time.monotonic() < end, "the second process did not come"
            time.sleep(0.01)
        return work(job)

    return together


def _second(folder: Path) -> None:
    os.environ.update(RANK="1", WORLD_SIZE="2")
    record = run_cell(make_config(folder), noting(folder))  # type: ignore[arg-type]
    (folder / f"second-{record.state}").touch()


@pytest.mark.parametrize("failed_before", [False, True])
def test_the_second_process_works_along_and_keeps_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed_before: bool
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    identity = identify(config)
    if failed_before:
        before = replace(missing_record(identity), state="failed", failure=Failure("no", ""), finished=1.0)
        write_record(tmp_path / config.study / identity.name, before)
    process = CONTEXT.Process(target=_second, args=(tmp_path,))
    process.start()
    time.sleep(0.3)
    record = run_cell(config, noting(tmp_path))  # type: ignore[arg-type]
    process.join()
    assert record.state == "done"
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {"worked-0-True", "worked-1-False", "second-done"}


def test_the_second_process_finds_a_cell_that_gets_its_name_after_it_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    identity = identify(config)
    process = CONTEXT.Process(target=_second, args=(tmp_path,))
    process.start()
    time.sleep(0.3)
    named = replace(identity, name=f"longer-{identity.name}")
    declare(tmp_path / config.study, [named], config)
    record = run_cell(config, noting(tmp_path, seconds=20))  # type: ignore[arg-type]
    process.join(timeout=20)
    process.kill()
    assert (record.name, record.state) == (named.name, "done")
    assert (tmp_path / "second-done").exists()


def test_it_looks_for_the_cell_again_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch, cell: CellRecord
) -> None:
    found, running = iter([Path("short"), Path("long")]), replace(cell, state="running")
    done, worked = replace(cell, state="done"), list[Path]()
    records = {Path("short"): iter([None]), Path("long"): iter([running, done])}
    monkeypatch.setattr(ranks, "read_record", lambda folder, identity: next(records[folder]))
    monkeypatch.setattr(ranks.time, "sleep", lambda seconds: None)
    assert follow(lambda: next(found), "identity", worked.append) == done
    assert worked == [Path("long")]


def test_a_cell_that_is_done_is_not_worked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    config = make_config(tmp_path)
    done = run_cell(config, work)

    def never(folder: Path) -> None:
        raise AssertionError

    assert follow(lambda: tmp_path / config.study / done.name, done.identity, never, poll=0.01) == done


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CellRecord:
    replace_inputs(monkeypatch)
    return replace(missing_record(identify(make_config(tmp_path))), finished=time.time() + 1e6)


def followed(monkeypatch: pytest.MonkeyPatch, *seen: CellRecord | None) -> tuple[CellRecord, list[str]]:
    """What a further process returns that finds these records one after another, and what it did in between."""
    records, did = iter(seen), list[str]()

    def read(folder: Path, identity: str) -> CellRecord | None:
        assert (folder, identity) == (Path("cell"), "identity")
        did.append("read")
        return next(records)

    monkeypatch.setattr(ranks, "read_record", read)
    monkeypatch.setattr(ranks.time, "sleep", lambda seconds: did.append(f"slept {seconds:g}"))
    return follow(lambda: Path("cell"), "identity", lambda folder: did.append(f"worked in {folder}")), did


def test_it_waits_until_the_first_process_runs_and_until_it_has_ended(
    monkeypatch: pytest.MonkeyPatch, cell: CellRecord
) -> None:
    running, done = replace(cell, state="running"), replace(cell, state="done")
    before = replace(cell, state="failed", finished=1.0)
    found, did = followed(monkeypatch, None, before, running, running, done)
    assert found == done
    assert did == [
        "read",
        "slept 0.2",
        "read",
        "slept 0.2",
        "read",
        "worked in cell",
        "read",
        "slept 0.2",
        "read",
    ]


@pytest.mark.parametrize(("state", "finished"), [("done", 1.0), ("failed", None), ("interrupted", None)])
def test_what_has_ended_in_this_run_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, cell: CellRecord, state: str, finished: float | None
) -> None:
    ended = replace(cell, state=state, finished=cell.finished if finished is None else finished)  # type: ignore[arg-type]
    assert followed(monkeypatch, ended) == (ended, ["read"])


def test_what_ended_just_when_this_process_came_up_is_of_this_run(
    monkeypatch: pytest.MonkeyPatch, cell: CellRecord
) -> None:
    ended = replace(cell, state="failed", finished=ranks._CAME_UP)
    assert followed(monkeypatch, ended) == (ended, ["read"])
