from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from instruct_ablate.disk.whole_files import (
    explained,
    inside,
    make_folder,
    put_aside,
    read_inside,
    read_plain,
    read_sealed,
    shared_lock,
    write_sealed,
    write_whole,
)
from instruct_ablate.errors import UserError


def test_writes_the_text_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "record.json", "one")
    write_whole(tmp_path / "new" / "record.json", "zwö")
    assert (tmp_path / "new" / "record.json").read_text() == "zwö"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["record.json"]


def test_a_full_disk_is_one_clear_message_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    write_whole(path, "old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*record.json: the disk is full"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EDQUOT, "quota"),
        (errno.ENOTDIR, "a file stands"),
    ],
)
def test_disk_errors_say_what_to_do(number: int, said: str) -> None:
    with pytest.raises(UserError, match=said), explained(Path("x")):
        raise OSError(number, "no")


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(OSError, match="odd"), explained(Path("x")):
        raise OSError(errno.EBADF, "odd")


def _write_forever(path: Path) -> None:
    number = 0
    while True:
        number += 1
        write_whole(path, f"{number % 10}" * 100_000, durable=False)


def test_sigkill_while_writing_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_whole(path, "0" * 100_000)
    for delay in (0.01, 0.023, 0.031, 0.05):
        process = multiprocessing.get_context("fork").Process(target=_write_forever, args=(path,))
        process.start()
        time.sleep(delay)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        text = path.read_text()
        assert len(text) == 100_000
        assert len(set(text)) == 1


@pytest.mark.parametrize(
    ("folder", "file"), [(0o755, 0o644), (0o775, 0o664), (0o700, 0o600), (0o1777, 0o644)]
)
def test_modes_follow_the_folder(tmp_path: Path, folder: int, file: int) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(folder)
    write_whole(place / "new" / "record.json", "one")
    write_whole(place / "record.json", "one")
    assert (place / "record.json").stat().st_mode & 0o777 == file
    assert (place / "new" / "record.json").stat().st_mode & 0o777 == file
    assert (place / "new").stat().st_mode & 0o777 == folder & 0o777 if folder < 0o1000 else 0o755
    with shared_lock(place / ".lock"):
        assert (place / ".lock").stat().st_mode & 0o777 == file


def test_a_folder_in_the_place_of_a_file_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "record.json" / "in").mkdir(parents=True)
    write_whole(tmp_path / "record.json", "one")
    assert (tmp_path / "record.json").read_text() == "one"
    assert (tmp_path / "record.json.damaged-1" / "in").is_dir()


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file stands"):
        write_whole(tmp_path / "file" / "record.json", "one")


def test_a_link_is_replaced_and_never_written_through(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "record.json").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "record.json", "one")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with shared_lock(tmp_path / ".lock"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
    assert f"{tmp_path / '.lock'} is no plain file: it was put aside as .lock.damaged-1" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_a_lock_that_one_may_not_take_is_said_and_one_s_own_is_opened_again() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders let nobody else in
        folder = Path(name)
        (folder / "foreign").touch(0o600)
        (folder / "own").touch(0o444)
        folder.chmod(0o777)
        os.chown(folder / "own", 65534, 65534)
        os.seteuid(65534)
        try:
            if not os.access(folder, os.X_OK, effective_ids=True):
                pytest.skip("the folder of temporary files is closed to other users")
            with shared_lock(folder / "own"):
                pass
            with pytest.raises(UserError, match=r"cannot write .*foreign: no permission .* cache=PATH"):
                shared_lock(folder / "foreign", "cache")
        finally:
            os.seteuid(0)


def test_reading_never_waits_and_follows_no_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/hostname")
    for name in ("pipe", "link", "", "gone"):
        with pytest.raises(OSError, match=r"."):
            read_plain(tmp_path / name)
    with pytest.raises(OSError, match=r"."):
        read_plain(Path("/dev/zero"))
    (tmp_path / "file").write_text("one")
    assert read_plain(tmp_path / "file") == b"one"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", "a/../../x", "a\0b"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no name of a file inside"):
        inside(tmp_path, name)
    with pytest.raises(UserError, match="no name of a file inside"):
        read_inside(tmp_path, name)


def test_links_below_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_text("s")
    cell = tmp_path / "cell"
    (cell / "predictions").mkdir(parents=True)
    (cell / "predictions" / "a").write_text("one")
    assert read_inside(cell, "predictions/a") == b"one"
    assert inside(cell, "predictions/a") == cell / "predictions" / "a"
    (cell / "folder").symlink_to(tmp_path / "out")
    (cell / "predictions" / "b").symlink_to(tmp_path / "out" / "secret")
    for name in ("folder/secret", "predictions/b"):
        with pytest.raises(OSError, match=r"."):
            read_inside(cell, name)
        with pytest.raises(UserError, match="is a link"):
            inside(cell, name)


def test_what_is_put_aside_overwrites_nothing(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "x").write_text(str(number))
        assert put_aside(tmp_path / "x").read_text() == str(number)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_sealed_value_is_believed_in_its_place_alone(tmp_path: Path) -> None:
    write_sealed(tmp_path / "a", {"x": 1}, "cache")
    assert read_sealed(tmp_path / "a") == {"x": 1}
    (tmp_path / "b").write_text((tmp_path / "a").read_text())
    assert read_sealed(tmp_path / "b") is None
    (tmp_path / "a").write_text((tmp_path / "a").read_text().replace("1", "2"))
    assert read_sealed(tmp_path / "a") is None
    assert read_sealed(tmp_path / "gone") is None


def test_what_can_be_found_out_again_need_not_be_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cache that may only be read."""

    def refused(*arguments: object, **named: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr("instruct_ablate.disk.whole_files.tempfile.mkstemp", refused)
    with pytest.raises(UserError, match="read-only"):
        write_whole(tmp_path / "a", "1")
    write_sealed(tmp_path / "a", {"x": 1}, "cache")
    assert read_sealed(tmp_path / "a") is None


def test_new_folders_are_made_above_too(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_half_a_surrogate_pair_is_written_as_an_escape(tmp_path):
    write_whole(tmp_path / "file", json.dumps("é\ud800", ensure_ascii=False))
    assert json.loads((tmp_path / "file").read_text()) == "é\ud800"
