from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.lock import acquire, locked
from instruct_ablate.cell.state.record import CellRecord, Failure, State
from instruct_ablate.cell.state.record_file import sealed, to_json
from instruct_ablate.cell.state.store import quarantine, read_record, running_by, state_of, write_record
from tests.cell.state.test_record_file import SETTING, make_record


def in_state(state: State) -> CellRecord:
    return CellRecord(
        "ab", "tiny", SETTING, 0, state, failure=Failure("it broke", "") if state == "failed" else None
    )


def test_nothing_there_is_missing(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    assert state_of(tmp_path, "ab") == "missing"


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_states_come_back(tmp_path: Path, state: State) -> None:
    write_record(tmp_path, in_state(state))
    assert state_of(tmp_path, "ab") == state


def test_done_needs_scores(tmp_path: Path) -> None:
    write_record(tmp_path, make_record())
    assert state_of(tmp_path, make_record().identity) == "done"
    write_record(tmp_path, replace(make_record(), blocks=()))
    assert state_of(tmp_path, make_record().identity) == "missing"


def test_another_cells_record_is_not_this_ones(tmp_path: Path) -> None:
    write_record(tmp_path, make_record())
    assert state_of(tmp_path, "cd" * 32) == "missing"


def test_failed_needs_a_reason(tmp_path: Path) -> None:
    write_record(tmp_path, replace(in_state("failed"), failure=None))
    assert state_of(tmp_path, "ab") == "missing"


def test_running_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    write_record(tmp_path, in_state("running"))
    assert state_of(tmp_path, "ab") == "interrupted"
    with locked(tmp_path) as alive:
        assert state_of(tmp_path, "ab") == "running"
        assert running_by(tmp_path) == alive.owner
    assert running_by(tmp_path) is None


def test_running_elsewhere_without_a_heartbeat_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, in_state("running"))
    acquire(tmp_path)
    monkeypatch.setattr("instruct_ablate.cell.state.heartbeat.socket.gethostname", lambda: "elsewhere")
    assert state_of(tmp_path, "ab") == "interrupted"


@pytest.mark.parametrize("text", ["", "{", "null", "\x00"])
def test_a_corrupt_record_is_put_aside_and_never_counted(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    assert state_of(tmp_path, "ab") == "missing"
    assert quarantine(tmp_path, "ab") == tmp_path / "record.corrupt-1.json"
    assert not (tmp_path / "record.json").exists()
    (tmp_path / "record.json").write_bytes(b"\xff\xfe")
    assert quarantine(tmp_path, "ab") == tmp_path / "record.corrupt-2.json"


def test_a_good_record_is_left_in_place(tmp_path: Path) -> None:
    assert quarantine(tmp_path, "ab") is None
    write_record(tmp_path, in_state("failed"))
    assert quarantine(tmp_path, "ab") is None
    assert (tmp_path / "record.json").read_text() == sealed(to_json(in_state("failed")))
