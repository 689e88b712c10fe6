"""The forms carry names and contents, and nothing of this machine."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from instruct_ablate.archive import forms
from instruct_ablate.archive.forms import BLOCK, FORMS, MOST_HEADER, form_of, opened_members, write_members
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


def tar_of(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    """A tar.gz as other tools write it."""
    path = tmp_path / "other.tar.gz"
    with tarfile.open(path, "w:gz", format=form) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def contents(path: Path) -> list[tuple[str, bytes]]:
    with opened_members(path) as members:
        return [(name, content.read(size)) for name, size, content in members]


def plain(name: str, kind: bytes = tarfile.REGTYPE, **headers: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.pax_headers = kind, headers
    return info


def test_archives_of_other_tools_are_read(tmp_path: Path) -> None:
    members = [(plain("a"), b"1"), (plain("é/" + 200 * "n"), 3 * b"x"), (plain("b", tarfile.AREGTYPE), b"")]
    assert contents(tar_of(tmp_path, *members)) == [(info.name, data) for info, data in members]
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("stored", b"12")
        archive.writestr("packed", 99 * b"3", zipfile.ZIP_DEFLATED)
    assert contents(path) == [("stored", b"12"), ("packed", 99 * b"3")]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_a_tars_links_devices_and_folders_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(UserError, match=r"'a' in it is no plain file"):
        contents(tar_of(tmp_path, (plain("a", kind), b"")))


def test_further_headers_but_a_long_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"says 'mtime', which is not taken"):
        contents(tar_of(tmp_path, (plain("a", mtime="1.5"), b"")))
    long = plain("a", comment=70_000 * "x")
    with pytest.raises(UserError, match="a header in it is too long"):
        contents(tar_of(tmp_path, (long, b"")))


def packed(tmp_path: Path, *blocks: bytes) -> Path:
    path = tmp_path / "made.tar.gz"
    path.write_bytes(gzip.compress(b"".join(blocks)))
    return path


def header(kind: bytes, data: bytes, size: int | None = None) -> bytes:
    info = plain("x", kind)
    info.size = len(data) if size is None else size
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)


END = bytes(2 * BLOCK)


def test_a_long_name_goes_for_the_next_file_alone(tmp_path: Path) -> None:
    files = (header(tarfile.REGTYPE, b"1"), header(tarfile.REGTYPE, b"2"))
    name = header(tarfile.XHDTYPE, b"12 path=abc\n")
    assert contents(packed(tmp_path, name, *files, END)) == [("abc", b"1"), ("x", b"2")]
    shortest = header(tarfile.XHDTYPE, b"9 path=a\n")
    assert contents(packed(tmp_path, shortest, files[0], END)) == [("a", b"1")]
    with pytest.raises(UserError, match="a header in it is too long"):
        contents(packed(tmp_path, name, name, *files, END))


@pytest.mark.parametrize("record", [b"0 path=a\n", b"4 path=a\n", b"-9 path=a\n"])
def test_a_header_that_has_no_length_ends(tmp_path: Path, record: bytes) -> None:
    with pytest.raises(UserError, match=r"not taken|cannot be read"):
        contents(packed(tmp_path, header(tarfile.XHDTYPE, record), END))


def test_a_header_may_be_so_long(tmp_path: Path) -> None:
    def of(size: int) -> Path:
        text = f"{size} path=".encode()
        return packed(
            tmp_path,
            header(tarfile.XHDTYPE, text + (size - len(text) - 1) * b"n" + b"\n"),
            header(tarfile.REGTYPE, b"1"),
            END,
        )

    assert MOST_HEADER == 65_536
    assert contents(of(65_536))[0][1] == b"1"
    with pytest.raises(UserError, match="too long"):
        contents(of(65_537))


def test_a_size_below_zero_and_an_archive_cut_off(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.size = -1
    with pytest.raises(UserError, match="a size below zero"):
        contents(packed(tmp_path, info.tobuf(tarfile.GNU_FORMAT), END))
    for blocks in ((header(tarfile.REGTYPE, b"1", 600),), (header(tarfile.REGTYPE, b"1"),), (b"",)):
        with pytest.raises(UserError, match="ends before its end"):
            contents(packed(tmp_path, *blocks))
    empty = header(tarfile.REGTYPE, b"", 0)
    assert contents(packed(tmp_path, empty, END)) == [("x", b"")]


def test_what_nobody_reads_is_skipped(tmp_path: Path) -> None:
    files = [("a", 3 * 2**20 * b"1"), ("b", b"2")]
    write_members(tmp_path / "x.tar.gz", ".tar.gz", files)
    with opened_members(tmp_path / "x.tar.gz") as members:
        seen = []
        for name, size, content in members:
            if name == "a":
                seen.append(len(content.read(2 * 2**20)))
            else:
                seen.append(len(content.read(size)))
    assert seen == [2**20, 1], "a mebibyte at a time"


@pytest.mark.parametrize(
    ("attributes", "compression", "says"),
    [
        (stat.S_IFLNK | 0o777, zipfile.ZIP_STORED, "no plain file"),
        (stat.S_IFIFO | 0o644, zipfile.ZIP_STORED, "no plain file"),
        (stat.S_IFREG | 0o644, zipfile.ZIP_BZIP2, "packed in a way that is not taken"),
        (stat.S_IFREG | 0o644, zipfile.ZIP_LZMA, "packed in a way that is not taken"),
    ],
)
def test_a_zips_links_and_rare_packings_are_refused(
    tmp_path: Path, attributes: int, compression: int, says: str
) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr, info.compress_type = attributes << 16, compression
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"1")
    with pytest.raises(UserError, match=says):
        contents(tmp_path / "a.zip")


def test_a_zips_folders_and_secrets_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/", b"")
    with pytest.raises(UserError, match="'folder/' in it is no plain file"):
        contents(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a", b"1")
    data = bytearray((tmp_path / "b.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # encrypted, says the directory
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(UserError, match="'a' in it is no plain file"):
        contents(tmp_path / "b.zip")


def test_a_zips_files_are_packed_and_plain(tmp_path: Path) -> None:
    write_members(tmp_path / "x.zip", ".zip", [("a", 1000 * b"1")])
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        (info,) = archive.infolist()
    assert info.compress_size < 100
    assert (info.create_system, info.external_attr >> 16) == (3, stat.S_IFREG | 0o644)


def test_a_tar_ends_in_two_empty_blocks(tmp_path: Path) -> None:
    write_members(tmp_path / "x.tar.gz", ".tar.gz", [("a", b"1")])
    data = (tmp_path / "x.tar.gz").read_bytes()
    assert data[4:8] == bytes(4), "no time in it"
    assert len(gzip.decompress(data)) == 4 * BLOCK


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_archive_is_said_in_one_line(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a{form}"
    path.write_bytes(b"nothing of the kind\n")
    with pytest.raises(UserError, match=rf"a{form} cannot be read as {form}: \S") as caught:
        contents(path)
    assert len(str(caught.value).partition(f"as {form}: ")[2]) <= 120
    assert form_of(path) == form


def test_what_a_library_says_of_a_broken_archive_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: object) -> None:
        raise ValueError("x" * 121)

    monkeypatch.setattr(forms, "_zip_members", broken)
    (tmp_path / "a.zip").write_bytes(b"PK")
    with (
        pytest.raises(UserError, match=r"cannot be read as \.zip: x{120}$"),
        opened_members(tmp_path / "a.zip"),
    ):
        pass
