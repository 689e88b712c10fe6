from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.lock import acquire, locked
from instruct_ablate.cell.state.record.record import CellRecord, Failure, State
from instruct_ablate.cell.state.record.record_file import sealed, to_json
from instruct_ablate.cell.state.store import (
    Records,
    find_folder,
    holds,
    missing_record,
    quarantine,
    read_record,
    record_fault,
    running_by,
    write_record,
)
from tests.cell.state.record.test_record_file import SETTING, make_record
from tests.standins import make_config, make_scores, replace_inputs


def in_state(state: State) -> CellRecord:
    return CellRecord(
        "ab", "tiny", SETTING, 0, state, failure=Failure("it broke", "") if state == "failed" else None
    )


def test_nothing_there_is_missing(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    assert Records().state(tmp_path, "ab") == "missing"


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_states_come_back(tmp_path: Path, state: State) -> None:
    write_record(tmp_path, in_state(state))
    assert Records().state(tmp_path, "ab") == state


def test_done_needs_scores(tmp_path: Path) -> None:
    write_record(tmp_path, make_record())
    assert Records().state(tmp_path, make_record().identity) == "done"
    write_record(tmp_path, replace(make_record(), blocks=()))
    assert Records().state(tmp_path, make_record().identity) == "missing"


def test_another_cells_record_is_not_this_ones(tmp_path: Path) -> None:
    write_record(tmp_path, make_record())
    assert Records().state(tmp_path, "cd" * 32) == "missing"


def test_failed_needs_a_reason(tmp_path: Path) -> None:
    write_record(tmp_path, replace(in_state("failed"), failure=None))
    assert Records().state(tmp_path, "ab") == "missing"


def test_running_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    write_record(tmp_path, in_state("running"))
    assert Records().state(tmp_path, "ab") == "interrupted"
    with locked(tmp_path) as alive:
        assert Records().state(tmp_path, "ab") == "running"
        assert running_by(tmp_path) == alive.owner
    assert running_by(tmp_path) is None


def test_running_elsewhere_without_a_heartbeat_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, in_state("running"))
    acquire(tmp_path)
    monkeypatch.setattr("instruct_ablate.cell.state.heartbeat.socket.gethostname", lambda: "elsewhere")
    assert Records().state(tmp_path, "ab") == "interrupted"


@pytest.mark.parametrize("text", ["", "{", "null", "\x00"])
def test_a_corrupt_record_is_put_aside_and_never_counted(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    assert Records().state(tmp_path, "ab") == "missing"
    assert quarantine(tmp_path, "ab") == tmp_path / "record.corrupt-1.json"
    assert not (tmp_path / "record.json").exists()
    (tmp_path / "record.json").write_bytes(b"\xff\xfe")
    assert quarantine(tmp_path, "ab") == tmp_path / "record.corrupt-2.json"


def test_a_good_record_is_left_in_place(tmp_path: Path) -> None:
    assert quarantine(tmp_path, "ab") is None
    write_record(tmp_path, in_state("failed"))
    assert quarantine(tmp_path, "ab") is None
    assert (tmp_path / "record.json").read_text() == sealed(to_json(in_state("failed")))


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identity:
    replace_inputs(monkeypatch)
    return identify(make_config(tmp_path))


def declare_name(study: Path, identity: str, name: str) -> None:
    (study / "study.json").write_text(json.dumps({"cells": [{"identity": identity, "name": name}]}))


def test_a_folder_is_found_by_its_hash_then_by_its_declared_name(tmp_path: Path, identity: Identity) -> None:
    short = identity.hash[:8]
    assert find_folder(tmp_path, identity) == tmp_path / identity.name
    declare_name(tmp_path, identity.hash, f"declared-{short}")
    assert find_folder(tmp_path, identity) == tmp_path / f"declared-{short}"
    for name in ("declared", f"other/declared-{short}", f"declared-{short}x"):
        declare_name(tmp_path, identity.hash, name)
        assert find_folder(tmp_path, identity) == tmp_path / identity.name, name
    declare_name(tmp_path, "ab" * 32, f"declared-{short}")
    assert find_folder(tmp_path, identity) == tmp_path / identity.name, "another cell's"
    (tmp_path / f"a-{short}").write_text("no folder")
    (tmp_path / f"b-{short}").mkdir()
    assert find_folder(tmp_path, identity) == tmp_path / f"b-{short}"
    (tmp_path / identity.name).mkdir()
    assert find_folder(tmp_path, identity) == tmp_path / identity.name


def test_a_folder_of_another_cell_with_the_same_beginning_is_not_taken(
    tmp_path: Path, identity: Identity
) -> None:
    folder = tmp_path / f"a-{identity.hash[:8]}"
    folder.mkdir()
    assert holds(folder, identity.hash), "as its name says"
    (folder / "identity.json").write_text(json.dumps({"identity": identity.hash}))
    assert holds(folder, identity.hash)
    (folder / "identity.json").write_text(json.dumps({"identity": "other"}))
    assert not holds(folder, identity.hash)
    assert find_folder(tmp_path, identity) == tmp_path / identity.name
    (folder / "record.json").write_text(json.dumps({"identity": identity.hash}))
    assert holds(folder, identity.hash), "the record is the truth"


def test_a_missing_cell_says_who_it_is(identity: Identity) -> None:
    record = missing_record(identity)
    assert (record.state, record.identity, record.name) == ("missing", identity.hash, identity.name)
    assert (record.setting, record.seed, record.data_hash) == (identity.setting, 0, "data")


def test_what_a_newer_version_wrote_is_said_and_left(tmp_path: Path) -> None:
    text = json.dumps({"version": 99, "identity": "cd"})
    (tmp_path / "record.json").write_text(text)
    record = read_record(tmp_path, "ab")
    assert record is not None
    assert (record.state, record.identity, record.name, record.seed) == (
        "other format",
        "cd",
        tmp_path.name,
        0,
    )
    assert record.notes[0].startswith("record.json: ")
    assert record_fault(tmp_path) is None
    assert quarantine(tmp_path, "ab") is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe", "it is no text"),
        (to_json(replace(make_record(), blocks=())).encode(), "its parts do not fit together"),
        (b"{", ""),
    ],
)
def test_why_a_record_cannot_be_read(tmp_path: Path, content: bytes, why: str) -> None:
    assert record_fault(tmp_path) is None, "there is none"
    assert record_fault(tmp_path / "none") is None
    (tmp_path / "record.json").write_bytes(content)
    fault = record_fault(tmp_path)
    assert fault is not None
    assert fault.startswith("record.json cannot be read: ")
    assert why in fault
    assert len(fault) <= 228


def test_a_record_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    assert record_fault(tmp_path) == "record.json cannot be read: Is a directory"


def test_a_done_cell_has_instances_in_every_block(tmp_path: Path) -> None:
    def with_blocks(*instances: int) -> CellRecord:
        (block,) = make_record().blocks
        scores = make_scores()
        return replace(
            make_record(),
            blocks=tuple(
                replace(block, scores=replace(scores, overall=replace(scores.overall, instances=number)))
                for number in instances
            ),
        )

    for instances, state in (((1,), "done"), ((0,), "missing"), ((1, 0), "missing"), ((2, 1), "done")):
        write_record(tmp_path, with_blocks(*instances))
        assert Records().state(tmp_path, make_record().identity) == state


def test_files_outside_of_the_folder_are_no_cells(tmp_path: Path) -> None:
    (block,) = make_record().blocks
    for record in (
        replace(make_record(), name="a/b"),
        replace(make_record(), name=".."),
        replace(make_record(), blocks=(replace(block, predictions="../p.jsonl"),)),
        replace(make_record(), blocks=(replace(block, predictions="/p.jsonl"),)),
    ):
        write_record(tmp_path, record)
        assert Records().state(tmp_path, make_record().identity) == "missing"


def test_a_record_of_anybody_is_read_where_nobody_is_named(tmp_path: Path) -> None:
    write_record(tmp_path, make_record())
    assert read_record(tmp_path) == make_record()
    assert read_record(tmp_path, "other") is None
    assert quarantine(tmp_path, "other") == tmp_path / "record.corrupt-1.json"


def test_the_records_of_one_moment_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, corrupt, nothing = (tmp_path / name for name in ("done", "corrupt", "nothing"))
    write_record(done, make_record())
    corrupt.mkdir()
    (corrupt / "record.json").write_text("{")
    records, identity, fault = Records(), make_record().identity, record_fault(corrupt)
    assert fault is not None
    for _ in range(2):
        assert records.state(done, identity) == "done"
        assert records.state(done, "cd" * 32) == "missing"
        assert records.holds(done, identity)
        assert not records.holds(done, "cd" * 32)
        assert records.state(nothing, identity) == records.state(corrupt, identity) == "missing"
        assert record_fault(corrupt, records) == fault
        assert record_fault(nothing, records) is None
        monkeypatch.setattr("instruct_ablate.cell.state.store._parsed", None)
    assert records.holds(nothing, identity), "nothing there says otherwise"


def test_a_folder_is_looked_for_among_those_that_were_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_inputs(monkeypatch)
    identity = identify(make_config(tmp_path))
    short = identity.hash[:8]
    renamed = tmp_path / f"marked-{short}"
    renamed.mkdir()
    assert find_folder(tmp_path, identity, {short: [renamed.name]}) == renamed
    assert find_folder(tmp_path, identity, {}) == tmp_path / identity.name
    assert find_folder(tmp_path, identity, {short: ["gone"]}) == tmp_path / identity.name
