"""The forms carry names and contents, and nothing of this machine."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from instruct_ablate.archive.forms import FORMS, form_of, opened_members, write_members
from instruct_ablate.errors import UserError


@pytest.mark.parametrize("form", FORMS)
def test_files_in_their_order(tmp_path: Path, form: str) -> None:
    files = [("b", b"1" * 700), ("a/" + "n" * 150, b""), ("c", bytes(512))]
    write_members(tmp_path / f"x{form}", form, files)
    with opened_members(tmp_path / f"x{form}") as members:
        assert [(name, content.read(size)) for name, size, content in members] == files


def test_other_tools_read_them_and_see_no_owner_and_no_time(tmp_path: Path) -> None:
    for form in (".tar.gz", ".zip"):
        write_members(tmp_path / f"x{form}", form, [("a", b"1")])
    with tarfile.open(tmp_path / "x.tar.gz") as archive:
        (info,) = archive.getmembers()
        assert (info.mtime, info.uid, info.uname, info.mode) == (0, 0, "", 0o644)
    with zipfile.ZipFile(tmp_path / "x.zip") as packed:
        assert packed.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_a_name_that_says_no_form_and_a_pipe(tmp_path: Path) -> None:
    for name in ("a.tar", "a.rar", ".zip", "a"):
        with pytest.raises(UserError, match="ends in one of"):
            form_of(tmp_path / name)
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(UserError, match="cannot be read"), opened_members(tmp_path / "a.zip"):
        pass
