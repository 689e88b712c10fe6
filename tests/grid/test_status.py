from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from instruct_ablate.cell.state.heartbeat import Heartbeat
from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.lock import acquire
from instruct_ablate.cell.state.record import Failure
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.grid import status as status_module
from instruct_ablate.grid.launch.slurm_queue import Ticket, write_ticket
from instruct_ablate.grid.status import cell_statuses, status_table
from instruct_ablate.grid.study import declare, read_study
from tests.report.cells import make_cell
from tests.report.studies import write_study
from tests.standins import make_config, replace_inputs


@pytest.fixture
def identities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Identity]:
    replace_inputs(monkeypatch)
    found = [identify(make_config(tmp_path, seed=seed)) for seed in range(3)]
    declare(tmp_path, found, make_config(tmp_path))
    return found


def test_each_cell_tells_its_state(tmp_path: Path, identities: list[Identity]) -> None:
    failed = replace(missing_record(identities[1]), state="failed", failure=Failure("[it] broke\nbadly", ""))
    write_record(tmp_path / identities[1].name, failed)
    folder = tmp_path / identities[2].name
    write_record(folder, replace(missing_record(identities[2]), state="running", started=1.0))
    owner = acquire(folder)
    with Heartbeat(folder, owner, beat=0.01) as alive:
        alive.progress("train", 3, 10)
        while (lines := cell_statuses(read_study(tmp_path)))[0].progress != "train 3/10":
            pass
    assert [line.state for line in lines] == ["running", "failed", "missing"]
    assert lines[0].host == owner.host
    assert lines[1].error.startswith("[it] broke")


def test_the_table_can_be_read(tmp_path: Path, identities: list[Identity]) -> None:
    failed = replace(missing_record(identities[1]), state="failed", failure=Failure("[it] broke\nbadly", ""))
    write_record(tmp_path / identities[1].name, replace(failed, started=10.0, finished=3675.0))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(status_table(tmp_path))
    text = console.export_text()
    assert "3 cells (1 failed, 2 missing)" in text
    assert "[it] broke" in text
    assert "badly" not in text
    assert "1:01:05" in text


def test_a_cell_that_waits_in_the_queue_says_so_and_the_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study(write_study(tmp_path / "s", [make_cell(None), make_cell(None, seed=1)]))
    first, second = (study.folder / cell.name for cell in study.cells)
    for folder in (first, second):
        write_ticket(folder, Ticket("12_3", 0.0, "out"))
    monkeypatch.setattr(status_module, "seen_queued", lambda folders: {first: "PENDING"})
    lines = {line.name: (line.state, line.progress) for line in cell_statuses(study)}
    assert lines == {first.name: ("queued", "queued (job 12_3: PENDING)"), second.name: ("missing", "")}
