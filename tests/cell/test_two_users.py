"""Two users of a group and one study: one runs a cell, the other looks, waits, and goes on where the first is gone."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state import heartbeat
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.grid.declaration import declare
from instruct_ablate.report.report import write_report
from tests.damage import study
from tests.users import GROUP, ONE, OTHER, Running, group_folder, said, start

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Import what cells and looks need: users without rights may not read where it lies."""
    with pytest.MonkeyPatch.context() as patch:
        study.SUBJECT.replace(patch)
        patch.setattr(heartbeat, "BEAT", 0.05)
        patch.setattr(heartbeat, "STALE", 1e8)  # however slow the machine: what is to be old is of 1970
        folder = tmp_path_factory.mktemp("first")
        study.make(folder)
        study.used(folder, ("status", "rescore"))
        yield


def whole_grid(folder: Path) -> None:
    """Ask for both cells, as a sweep does."""
    configs = [study.cell(folder, seed) for seed in (study.DONE, study.OPEN)]
    declare(folder / "study", [identify(config) for config in configs], configs[0])


def busy(folder: Path, umask: int = 0o002) -> Running:
    """The first user finishes a cell, and is in the middle of the next one."""

    def act(say: Callable[[str], None]) -> str:
        append = PredictionWriter.append

        def wait(writer: PredictionWriter, row: PredictionRow) -> None:
            append(writer, row)
            say("busy")
            time.sleep(600)

        whole_grid(folder)
        run_cell(study.cell(folder, study.DONE), study.stand_in)
        PredictionWriter.append = wait  # type: ignore[method-assign]
        return run_cell(study.cell(folder, study.OPEN), study.stand_in).state

    process = start(ONE, act, umask)
    told = process.says()
    assert told == "busy", told
    return process


def look(folder: Path) -> str:
    return said(OTHER, lambda: study.look(folder))


def report(folder: Path) -> str:
    """Report into a folder of one's own; return whether the page is there."""

    def act() -> str:
        with tempfile.TemporaryDirectory() as place:
            write_report(folder / "study", Path(place) / "report")
            return "reported" if (Path(place) / "report" / "index.html").exists() else "no page"

    return said(OTHER, act)


def go_on(folder: Path, user: int = OTHER) -> str:
    """Start the same grid; return how its cells end, and what is said."""

    def act() -> str:
        whole_grid(folder)
        return " ".join(study.finish(folder, seed).state for seed in (study.DONE, study.OPEN))

    return said(user, act)


def contents(folder: Path) -> dict[str, tuple[bytes, float]]:
    """Every file of the study that does not beat."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".tmp")
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime) for path in files if path.name != "heartbeat"
    }


def as_on_another_host(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let nobody see processes, as on another host; the heartbeat tells then."""
    patch.setattr(heartbeat, "alive_here", lambda owner: None)
    for beat in folder.rglob("heartbeat"):
        os.utime(beat, (1, 1))


@pytest.mark.parametrize(
    ("umask", "elsewhere"),
    [
        (0o077, True),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in ((0o002, False), (0o002, True), (0o077, False))
        ),
    ],
)
def test_a_group_s_cell_is_running_until_its_process_is_gone(
    monkeypatch: pytest.MonkeyPatch, umask: int, elsewhere: bool
) -> None:
    with group_folder(0o2775) as folder:
        first = busy(folder, umask)
        if elsewhere:
            monkeypatch.setattr(heartbeat, "alive_here", lambda owner: None)
        before = contents(folder / "study")
        assert "1 running, 1 done" in look(folder)
        assert go_on(folder).startswith("done running\n")
        after = {name: one for name, one in contents(folder / "study").items() if "-s0-" not in name}
        assert after.items() <= before.items(), "nothing of the running cell is touched"
        first.end()
        if elsewhere:
            as_on_another_host(monkeypatch, folder)
        assert "1 interrupted, 1 done" in look(folder)
        assert go_on(folder) == "done done"
        assert "2 done" in look(folder)
        assert go_on(folder, ONE) == "done done"
        for path in (folder / "study").rglob("*"):
            mode, owner = path.stat().st_mode & 0o2777, path.stat()
            assert owner.st_gid == GROUP
            assert mode == (0o2775 if path.is_dir() else 0o664), path


def test_who_may_only_read_is_told_in_one_line() -> None:
    with group_folder(0o2755) as folder:
        first = busy(folder)
        assert "1 running, 1 done" in look(folder)
        refused = (
            f"refused: cannot write {folder / 'study'}: no permission to write there; choose another folder"
        )
        assert go_on(folder).startswith(refused)
        first.end()
        before = contents(folder / "study")
        assert "1 interrupted, 1 done" in look(folder)
        assert go_on(folder).startswith(refused)
        assert contents(folder / "study") == before
        assert go_on(folder, ONE) == "done done"


@pytest.mark.parametrize(
    ("name", "told", "ends"),
    [
        ("record.json", "record.json cannot be read: Permission denied", "unreadable unreadable"),
        ("lock-1", "1 running, 1 done", "done running"),
        ("", "record.json cannot be read: Permission denied", "refused: cannot write"),
        ("predictions", "1 interrupted, 1 done", "done failed"),
        pytest.param("checkpoints", "1 interrupted, 1 done", "done failed", marks=pytest.mark.slow),
        pytest.param("predictions/*", "1 interrupted, 1 done", "done done", marks=pytest.mark.slow),
        pytest.param("training.jsonl", "1 interrupted, 1 done", "done done", marks=pytest.mark.slow),
        ("log.txt", "1 interrupted, 1 done", "done done"),
        pytest.param("heartbeat", "1 interrupted, 1 done", "done done", marks=pytest.mark.slow),
        pytest.param("../study.json", "1 interrupted, 1 done", "done done", marks=pytest.mark.slow),
    ],
)
def test_what_may_not_be_read_is_left_and_told(name: str, told: str, ends: str) -> None:
    with group_folder(0o2775) as folder:
        busy(folder).end()
        records = {path: path.read_bytes() for path in folder.glob("study/*-s0-*/record.json")}
        for cell in folder.glob("study/tiny*"):
            for path in cell.glob(name) if name else [cell]:
                path.chmod(0o600)
        assert told in look(folder)
        ended = go_on(folder)
        assert ended.startswith(ends)
        assert "Traceback" not in ended
        assert {path: path.read_bytes() for path in records} == records, "the done cell is as it was"


def test_a_study_that_may_not_be_read_is_one_line() -> None:
    with group_folder(0o2775) as folder:
        busy(folder).end()
        (folder / "study").chmod(0o700)
        assert look(folder) == f"refused: {folder / 'study'} cannot be read: Permission denied"


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["record.json", "", "predictions", "../study.json", "../stated.jsonl"])
def test_the_other_user_reports_on_what_may_be_read(tmp_path: Path, hidden: str) -> None:
    study.make(tmp_path)
    study.report(tmp_path)  # imports
    with group_folder(0o2755) as folder:
        first = busy(folder)
        assert report(folder) == "reported"
        first.end()
        (done,) = folder.glob("study/*-s0-*")
        (done / hidden).chmod(0o600)
        assert report(folder) == "reported"
