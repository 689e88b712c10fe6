"""The forms of an archive, tar.zst, tar.gz and zip: the same files give the same bytes, and reading trusts nothing.

Tar is read header by header instead of by a library that follows what headers say: plain files alone are taken, links,
devices and sparse files are refused, and nothing is ever held in memory that a header only claims to be there.
"""

from __future__ import annotations

import contextlib
import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from instruct_ablate.disk.whole_files import opened_plain
from instruct_ablate.errors import UserError, in_a_line


class Readable(Protocol):
    """The content of one file."""

    def read(self, size: int, /) -> bytes:
        """Read on."""
        ...


Member = tuple[str, int, Readable]  # name, size, content
FORMS = (".tar.zst", ".tar.gz", ".zip")
BLOCK = 512
MOST_HEADER = 64 * 1024  # bytes of a further header: it holds a long name
UNREADABLE = (OSError, ValueError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile,
              RuntimeError, NotImplementedError, zipfile.LargeZipFile)  # fmt: skip


def form_of(path: Path) -> str:
    """Return an archive's form by its name; another one is refused."""
    form = next((form for form in FORMS if path.name.endswith(form) and path.name != form), None)
    if form is None:
        raise UserError(f"{path}: an archive's name ends in one of {', '.join(FORMS)}.")
    return form


def write_members(path: Path, form: str, members: Iterable[tuple[str, bytes]]) -> None:
    """Write files into an archive, with no time, owner or mode of this machine."""
    with path.open("wb") as file:
        if form == ".zip":
            _write_zip(file, members)
        elif form == ".tar.gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                _write_tar(packed, members)
        else:
            import pyarrow as pa

            with pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), "zstd") as packed:
                _write_tar(packed, members)


def _write_tar(file: Any, members: Iterable[tuple[str, bytes]]) -> None:
    for name, data in members:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        # Not GNU's form: of pax `_long_name` reads the one record it needs, and refuses the others.
        file.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
        file.write(data)
        file.write(bytes(-len(data) % BLOCK))
    file.write(bytes(2 * BLOCK))


def _write_zip(file: IO[bytes], members: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)  # of 1980, where time begins for zip
            # 3 is Unix, whose mode follows; by default it is the system at hand, and the bytes would hang on it.
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)


@contextlib.contextmanager
def opened_members(path: Path) -> Iterator[Iterator[Member]]:
    """Open an archive and give its files one after another; what is no such archive is a `UserError`."""
    form = form_of(path)
    try:
        with opened_plain(path) as file, _unpacked(file, form) as content:
            yield _zip_members(content) if form == ".zip" else _tar_members(content.read)
    except UNREADABLE as error:
        why = in_a_line(error, 120)
        raise UserError(f"{path} cannot be read as {form}: {why}") from error


def _unpacked(file: IO[bytes], form: str) -> contextlib.AbstractContextManager[Any]:
    """Return what is read of an archive: a zip as it lies there, of the others what was packed as a whole."""
    if form == ".zip":
        return contextlib.nullcontext(file)
    if form == ".tar.gz":
        return gzip.GzipFile(fileobj=file)
    import pyarrow as pa

    stream: contextlib.AbstractContextManager[Any] = pa.CompressedInputStream(
        pa.PythonFile(file, mode="r"), "zstd"
    )
    return stream


def _zip_members(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            # 0 is what systems without Unix modes write; the first bit of the flags says that it is encrypted.
            if kind not in (0, stat.S_IFREG) or info.is_dir() or info.flag_bits & 1:
                raise UserError(f"{info.filename[:100]!r} in it is no plain file")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(f"{info.filename[:100]!r} in it is packed in a way that is not taken")
            with archive.open(info) as content:
                yield info.filename, info.file_size, content


def _tar_members(read: Callable[[int], bytes]) -> Iterator[Member]:
    name: str | None = None
    while (block := _exactly(read, BLOCK)).strip(b"\0"):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if info.size < 0:
            raise UserError("a file in it has a size below zero")
        if info.type == tarfile.XHDTYPE:
            if info.size > MOST_HEADER or name is not None:
                raise UserError("a header in it is too long")
            name = _long_name(_padded(read, info.size))
            continue
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise UserError(f"{(name or info.name)[:100]!r} in it is no plain file")
        content = _Content(read, info.size)
        yield name or info.name, info.size, content
        content.finish()
        name = None


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """Read so many bytes; an archive that ends before is cut off."""
    parts, left = [], size
    while left:
        part = bytes(read(min(left, 2**20)))
        if not part:
            raise EOFError("it ends before its end")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _padded(read: Callable[[int], bytes], size: int) -> bytes:
    data = _exactly(read, size)
    _exactly(read, -size % BLOCK)
    return data


def _long_name(header: bytes) -> str:
    """Return the path in a further header: records of "length key=value"; all other keys are refused."""
    found = ""
    while header:
        length, _, _ = header.partition(b" ")
        record, header = header[: int(length)], header[int(length) :]
        key, _, value = record[len(length) + 1 : -1].partition(b"=")
        if key != b"path" or int(length) < 5:
            raise UserError(f"a header in it says {key[:40].decode(errors='replace')!r}, which is not taken")
        found = value.decode()
    return found


class _Content:
    """What is left of one file of a tar; it is skipped where nobody reads it."""

    def __init__(self, read: Callable[[int], bytes], size: int) -> None:
        self._source, self._left, self._padding = read, size, -size % BLOCK

    def read(self, size: int, /) -> bytes:
        """Read on, at most a mebibyte at a time."""
        data = _exactly(self._source, min(self._left, size, 2**20))
        self._left -= len(data)
        return data

    def finish(self) -> None:
        """Go to the end of the file's last block."""
        while self._left:
            self.read(2**20)
        _exactly(self._source, self._padding)
