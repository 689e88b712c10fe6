"""Hostile archives are refused in one line, and leave nothing anywhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.archive.forms import write_members
from instruct_ablate.archive.manifest import MANIFEST, Entry, Manifest, manifest_text
from instruct_ablate.archive.unpack import unpack
from instruct_ablate.errors import UserError

Files = list[tuple[str, bytes]]


def manifest(files: Files, study: str = "s") -> tuple[str, bytes]:
    entries = tuple(Entry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files)
    return MANIFEST, manifest_text(Manifest(study, entries)).encode()


def write(path: Path, files: Files, listed: Files | None = None, study: str = "s") -> Path:
    form = next(form for form in (".tar.zst", ".tar.gz", ".zip") if path.name.endswith(form))
    write_members(path, form, [manifest(files if listed is None else listed, study), *files])
    return path


def refused(archive: Path, says: str, **more: Any) -> None:
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(UserError, match=says) as caught:
        unpack(archive, archive.parent / "target", **more)
    assert "\n" not in str(caught.value)
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("form", [".tar.zst", ".tar.gz", ".zip"])
def test_what_was_written_is_read(tmp_path: Path, form: str) -> None:
    long = "study/s/" + "x" * 120 + "é/record.json"
    files = [("a", b""), (long, b"hello"), ("report/big", bytes(3_000_000))]
    made = unpack(write(tmp_path / f"a{form}", files), tmp_path / "t")
    assert made.study == "s"
    assert (tmp_path / "t" / long).read_bytes() == b"hello"
    assert (tmp_path / "t" / "report/big").stat().st_size == 3_000_000


@pytest.mark.parametrize("form", [".tar.zst", ".tar.gz", ".zip"])
@pytest.mark.parametrize(
    "name", ["../out", "/tmp/out", "study/../../out", "a//b", "./a", "C:/out", "a\\..\\b", "a\nb", "x" * 300]
)
def test_a_path_that_leads_out(tmp_path: Path, form: str, name: str) -> None:
    refused(write(tmp_path / f"a{form}", [(name, b"x")]), "is no name of a file inside it")


@pytest.mark.parametrize("study", ["../s", "a/b", "", ".."])
def test_a_study_that_is_called_by_a_path(tmp_path: Path, study: str) -> None:
    refused(write(tmp_path / "a.zip", [], study=study), "is refused")


@pytest.mark.parametrize(
    ("files", "listed", "says"),
    [
        ([("a", b"x")], [("a", b"y")], "not as it was archived"),
        ([("a", b"x")], [], "not in its manifest"),
        ([], [("a", b"x")], "is not there"),
        ([("b", b"x")], [("a", b"x")], "stands where"),
        ([("a", b"x"), ("A", b"y")], None, "names a file twice"),
        ([("a", b"x"), ("a/b", b"y")], None, "cannot write"),
    ],
)
@pytest.mark.parametrize("form", [".tar.zst", ".zip"])
def test_files_that_are_not_those_of_the_manifest(
    tmp_path: Path, form: str, files: Files, listed: Files | None, says: str
) -> None:
    refused(write(tmp_path / f"a{form}", files, listed), says)


def tar(path: Path, *infos: tarfile.TarInfo, data: bytes = b"") -> Path:
    with gzip.open(path, "wb") as file:
        name, text = manifest([("a", b"x")])
        head = tarfile.TarInfo(name)
        head.size = len(text)
        file.write(head.tobuf() + text + bytes(-len(text) % 512))
        for info in infos:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(data or bytes(1024))
    return path


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
     tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE],
)  # fmt: skip
def test_what_is_no_plain_file_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.linkname = kind, "/etc/passwd"
    refused(tar(tmp_path / "a.tar.gz", info), "is no plain file")


def test_headers_that_claim_much(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    refused(tar(tmp_path / "a.tar.gz", info), "a header in it is too long")
    info = tarfile.TarInfo("a")
    info.size = 2**33
    refused(tar(tmp_path / "b.tar.gz", info), "stands where")
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.XHDTYPE, 20
    refused(tar(tmp_path / "c.tar.gz", info, data=b"20 size=99999999999\n" + bytes(2000)), "not taken")


def zipped(change: Callable[[zipfile.ZipInfo], None]) -> bytes:
    text, made = io.BytesIO(), zipfile.ZipInfo("a")
    change(made)
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr(*manifest([("a", b"x")]))
        archive.writestr(made, b"x")
    return text.getvalue()


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010666, 0o140666])
def test_what_is_no_plain_file_in_a_zip(tmp_path: Path, mode: int) -> None:
    def change(info: zipfile.ZipInfo) -> None:
        info.external_attr = mode << 16

    (tmp_path / "a.zip").write_bytes(zipped(change))
    refused(tmp_path / "a.zip", "is no plain file")


@pytest.mark.parametrize("form", [".tar.zst", ".tar.gz", ".zip"])
def test_a_bomb_stops_at_the_limit(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"a{form}", [("a", bytes(5_000_000))])
    assert path.stat().st_size < 100_000
    refused(path, "--limit GIB takes more", limit=4_000_000)


@pytest.mark.parametrize("form", [".tar.zst", ".tar.gz", ".zip"])
@pytest.mark.parametrize("data", [b"", b"nonsense" * 200, bytes(4096)])
def test_what_is_no_archive(tmp_path: Path, form: str, data: bytes) -> None:
    (tmp_path / f"a{form}").write_bytes(data)
    refused(tmp_path / f"a{form}", "cannot be read as|no archive of a study")


@pytest.mark.parametrize("form", [".tar.zst", ".tar.gz", ".zip"])
def test_one_that_is_cut_off(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"a{form}", [("a", bytes(range(256)) * 1000)])
    path.write_bytes(path.read_bytes()[:-200])
    refused(path, "cannot be read as|no archive of a study")


def test_a_target_that_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", [("a", b"x")])
    (tmp_path / "t").mkdir()
    with pytest.raises(UserError, match="choose another --output"):
        unpack(path, tmp_path / "t")
    with pytest.raises(UserError, match="no archive at"):
        unpack(tmp_path / "mistyped.zip", tmp_path / "t")
    with pytest.raises(UserError, match="no archive at"):
        unpack(tmp_path / "none.zip", tmp_path / "t2")


def test_a_manifest_that_comes_in_many_parts_is_read(tmp_path: Path) -> None:
    files = [(f"study/s/{number:06d}" + 200 * "x", b"") for number in range(4500)]
    assert len(manifest(files)[1]) > 2**20, "a mebibyte is read at a time"
    archive = tmp_path / "a.zip"
    write_members(archive, ".zip", [manifest(files)])
    refused(archive, "'study/s/000000x+' of its manifest is not there")
