from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from instruct_ablate.cell.state.heartbeat import Beat, Heartbeat, this_process
from instruct_ablate.cell.state.identity import Identity, identify
from instruct_ablate.cell.state.lock import acquire
from instruct_ablate.cell.state.record.record import CellRecord, Failure, ScoreBlock
from instruct_ablate.cell.state.record.record_file import to_json
from instruct_ablate.cell.state.store import missing_record, write_record
from instruct_ablate.disk.learning_curve import FILE, append_row
from instruct_ablate.grid import status as status_module
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.launch.slurm_end import OUT_OF_MEMORY
from instruct_ablate.grid.launch.slurm_queue import Ticket, write_ticket
from instruct_ablate.grid.status import SHOWN, CellStatus, cell_statuses, status_table
from instruct_ablate.grid.study import read_study
from tests.report.cells import make_cell
from tests.report.studies import write_study
from tests.standins import make_config, make_scores, replace_inputs


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


def test_a_cell_that_is_back_in_the_queue_says_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = replace(
        make_cell(None), state="interrupted", notes=("told to stop (SIGUSR2) after step 3 of 9",)
    )
    study = read_study(write_study(tmp_path / "s", [stopped]))
    folder = study.folder / study.cells[0].name
    write_ticket(folder, Ticket("12_3", 0.0, "out"))
    monkeypatch.setattr(status_module, "seen_queued", lambda folders: {folder: "PENDING (BeginTime)"})
    (line,) = cell_statuses(study)
    assert line.state == "queued"
    assert line.progress.startswith("queued (job 12_3: PENDING (BeginTime): waits for its time to begin")
    assert line.progress.endswith("); told to stop (SIGUSR2) after step 3 of 9")


def test_a_cell_whose_job_took_too_much_memory_before_it_began_says_so(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s", [make_cell(None), make_cell(None, seed=1)]))
    first, second = (study.folder / cell.name for cell in study.cells)
    for folder, said in ((first, "exceeded memory limit"), (second, "nothing of the kind")):
        (folder.parent / f"{folder.name}.err").write_text(said)
        write_ticket(folder, Ticket("7", 1.0, str(folder.parent / f"{folder.name}.err"), "local"))
    errors = {line.name: line.error for line in cell_statuses(study)}
    assert errors == {first.name: OUT_OF_MEMORY, second.name: ""}


def running(tmp_path: Path, identity: Identity, **beat: object) -> CellStatus:
    """The line of a cell that began at 100 s and gave this sign of life."""
    folder = tmp_path / identity.name
    write_record(folder, replace(missing_record(identity), state="running", started=100.0))
    given = {"time": 160.0, **beat}
    (folder / "heartbeat").write_text(to_json(Beat(acquire(folder), 1, **given)))  # type: ignore[arg-type]
    return cell_statuses(read_study(tmp_path))[0]


def ended(identity: Identity, **changes: object) -> CellRecord:
    block = ScoreBlock("original", "p.jsonl", make_scores())
    return replace(missing_record(identity), state="done", blocks=(block,), **changes)  # type: ignore[arg-type]


def test_a_training_cells_pace_is_that_of_its_last_rows(tmp_path: Path, identities: list[Identity]) -> None:
    folder = tmp_path / identities[0].name
    folder.mkdir()
    for step in range(1, 31):
        seconds = 9.0 if step <= 11 else 2.0  # the last twenty rows count
        append_row(folder / FILE, {"step": step, "seconds": seconds, "tokens_per_second": 1500.4})
    append_row(folder / FILE, {"step": 31, "loss": 1.0})
    line = running(tmp_path, identities[0], stage="train", done=3, total=50)
    assert (line.progress, line.speed, line.left) == ("train 30/50", "1,500 tokens/s", 40.0)
    assert (line.state, line.seconds, line.host) == ("running", 60.0, this_process().host)


@pytest.mark.parametrize(
    ("beat", "pace"),
    [
        ({"stage": "train", "done": 3, "total": 10}, ("train 3/10", "", 0.0)),
        ({"stage": "train"}, ("train", "", 0.0)),
        ({"stage": "prepare"}, ("prepare", "", 0.0)),
        ({"stage": "evaluate", "done": 0, "total": 10, "since": 100.0}, ("evaluate 0/10", "", 0.0)),
        ({"stage": "evaluate", "done": 4, "total": 10, "since": 160.0}, ("evaluate 4/10", "", 0.0)),
        (
            {"stage": "evaluate", "done": 4, "total": 10, "since": 152.0},
            ("evaluate 4/10", "0.5 instances/s", 12.0),
        ),
    ],
)
def test_the_pace_of_other_stages(
    tmp_path: Path, identities: list[Identity], beat: dict[str, object], pace: tuple[str, str, float]
) -> None:
    line = running(tmp_path, identities[0], **beat)
    assert (line.progress, line.speed, line.left) == pace


def test_a_cell_that_has_not_beaten_yet_shows_who_holds_it(
    tmp_path: Path, identities: list[Identity]
) -> None:
    folder = tmp_path / identities[0].name
    before = Failure("it broke before", "")
    write_record(folder, replace(missing_record(identities[0]), state="running", failure=before))
    owner = acquire(folder)
    assert cell_statuses(read_study(tmp_path))[0] == CellStatus(
        identities[0].name, "running", host=owner.host, error="it broke before"
    )


def test_what_ended_shows_how_long_it_took_and_why_it_cannot_be_read(
    tmp_path: Path, identities: list[Identity]
) -> None:
    done, stopped, broken = identities
    record = ended(done, started=5.0, finished=65.0, notes=("a note",))
    write_record(tmp_path / done.name, replace(record, failure=Failure("an earlier one", "")))
    write_record(
        tmp_path / stopped.name, replace(missing_record(stopped), state="interrupted", notes=("at step 3",))
    )
    fault = Failure("it broke", "")
    record = replace(missing_record(broken), state="failed", notes=("a note",), failure=fault)
    write_record(tmp_path / broken.name, record)
    lines = {line.name: line for line in cell_statuses(read_study(tmp_path))}
    assert lines[done.name] == CellStatus(done.name, "done", seconds=60.0)
    assert lines[stopped.name] == CellStatus(stopped.name, "interrupted", "at step 3")
    assert lines[broken.name] == CellStatus(broken.name, "failed", error="it broke")
    assert [line.state for line in cell_statuses(read_study(tmp_path))] == ["failed", "interrupted", "done"]


def test_the_order_of_states() -> None:
    assert SHOWN == (
        "running", "queued", "failed", "interrupted", "unreadable", "other format", "missing", "done"
    )  # fmt: skip


def test_columns_with_nothing_in_them_are_left_out(tmp_path: Path, identities: list[Identity]) -> None:
    def headings() -> list[object]:
        return [column.header for column in status_table(tmp_path).columns]

    assert headings() == ["cell", "state"]
    append = {"stage": "evaluate", "done": 5, "total": 10, "since": 150.0}
    running(tmp_path, identities[0], **append)
    assert headings() == ["cell", "state", "progress", "speed", "time", "left", "host"]
    failed = replace(missing_record(identities[1]), state="failed", failure=Failure("it broke", ""))
    write_record(tmp_path / identities[1].name, failed)
    table = status_table(tmp_path)
    assert [column.header for column in table.columns][-1] == "last error"
    assert [column.no_wrap for column in table.columns] == [False, True] + 6 * [False]
    styles = {cell.plain: str(cell.style) for cell in table.columns[1].cells}  # type: ignore[union-attr]
    assert styles == {"running": "cyan", "failed": "red", "missing": "dim"}


@pytest.mark.parametrize(("seconds", "shown"), [(0.9, "0:00:00"), (60.0, "0:01:00"), (36061.0, "10:01:01")])
def test_times_are_shown_as_a_clock_does(
    tmp_path: Path, identities: list[Identity], seconds: float, shown: str
) -> None:
    write_record(tmp_path / identities[0].name, ended(identities[0], started=10.0, finished=10.0 + seconds))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(status_table(tmp_path))
    assert f" {shown} " in console.export_text()


def test_a_long_error_is_cut_to_its_beginning(tmp_path: Path, identities: list[Identity]) -> None:
    failure = Failure(300 * "x" + "\nmore", "")
    write_record(
        tmp_path / identities[0].name, replace(missing_record(identities[0]), state="failed", failure=failure)
    )
    cell = next(iter(status_table(tmp_path).columns[-1].cells))
    assert str(cell) == 200 * "x"


def test_the_queue_is_asked_for_what_is_not_done(
    tmp_path: Path, identities: list[Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(status_module, "seen_queued", lambda folders: asked.extend(folders) or {})
    write_record(tmp_path / identities[0].name, ended(identities[0]))
    waiting = tmp_path / identities[1].name
    write_record(waiting, replace(missing_record(identities[1]), state="failed", failure=Failure("x", "")))
    cell_statuses(read_study(tmp_path))
    assert sorted(asked) == sorted([waiting, tmp_path / identities[2].name])
