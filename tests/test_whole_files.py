from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.whole_files import explained, write_whole


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
        raise OSError(errno.EIO, "odd")


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
