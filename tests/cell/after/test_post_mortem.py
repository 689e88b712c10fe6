from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.after.post_mortem import TAIL, record_killed, why
from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.lock import locked
from instruct_ablate.cell.state.record.record import Failure
from instruct_ablate.cell.state.store import missing_record, now, read_record, write_record
from tests.standins import make_config, replace_inputs


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identity:
    replace_inputs(monkeypatch)
    return identify(make_config(tmp_path))


def test_ends_are_named() -> None:
    assert "memory runs out" in why(-9)
    assert why(-11) == "killed by SIGSEGV"
    assert why(3) == "its process ended with exit status 3"


def test_a_silent_end_is_a_failure_with_the_last_words(tmp_path: Path, identity: Identity) -> None:
    write_record(tmp_path, replace(missing_record(identity), state="running", started=now()))
    record_killed(tmp_path, identity, "killed", now() - 1, "x" * (2 * TAIL))
    record = read_record(tmp_path, identity.hash)
    assert record is not None
    assert record.state == "failed"
    assert record.failure == Failure("killed", "x" * TAIL, 1)


def test_an_earlier_failure_counts_as_an_attempt(tmp_path: Path, identity: Identity) -> None:
    earlier = replace(missing_record(identity), state="failed", failure=Failure("old", "", 2), finished=5.0)
    write_record(tmp_path, earlier)
    record_killed(tmp_path, identity, "killed", 10.0)
    record = read_record(tmp_path, identity.hash)
    assert record is not None
    assert record.failure == Failure("killed", "", 3)


def test_a_cell_that_told_its_end_is_left_alone(tmp_path: Path, identity: Identity) -> None:
    told = replace(missing_record(identity), state="failed", failure=Failure("it broke", ""), finished=20.0)
    write_record(tmp_path, told)
    record_killed(tmp_path, identity, "killed", 10.0)
    assert read_record(tmp_path, identity.hash) == told


def test_a_cell_that_another_process_took_over_is_left_alone(tmp_path: Path, identity: Identity) -> None:
    with locked(tmp_path):
        record_killed(tmp_path, identity, "killed", 10.0)
    assert read_record(tmp_path, identity.hash) is None
