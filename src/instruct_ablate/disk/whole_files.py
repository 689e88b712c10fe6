"""Files that are whole or not there: written under a temporary name, synchronised, renamed; and read without trust."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from filelock import BaseFileLock, FileLock

from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.errors import UserError

log = logging.getLogger(__name__)
_SAID = {
    errno.ENOSPC: "the disk is full; free some space (`instruct-ablate clean` shows what could go) or set {key}=PATH",
    errno.EDQUOT: "your quota on this disk is used up",
    errno.EROFS: "the file system is read-only; choose another folder with {key}=PATH",
    errno.EACCES: "no permission to write there; choose another folder with {key}=PATH",
    errno.EPERM: "no permission to write there; choose another folder with {key}=PATH",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another {key}=PATH or study=NAME",
    errno.EEXIST: "a file stands where a folder is needed; choose another {key}=PATH or study=NAME",
    errno.ENOENT: "nothing can be made there; choose another folder with {key}=PATH",
    errno.ENOLCK: "this file system has no locks; choose another folder with {key}=PATH",
    errno.EIO: "the disk reports an error; look at its health, or choose another folder with {key}=PATH",
    errno.ENAMETOOLONG: "the path is too long for this file system; choose a shorter {key}=PATH or study=NAME",
    errno.ELOOP: "a link there leads nowhere; remove it, or choose another folder with {key}=PATH",
    errno.ESTALE: "the network file system lost the file; run the same command again",
}


def write_whole(path: Path, text: str, durable: bool = True, key: str = "output") -> None:
    """Write `text` to `path` so that a reader sees the old file or the new one, never a part.

    With `durable` the content and the folder's entry reach the disk before the call returns. A folder that stands in
    the file's place is put aside; the file may be read by whoever may read its folder. Errors name the setting `key`
    that says where `path` is.
    """
    with whole_file(path, durable, key) as temporary:
        temporary.write_text(as_utf8(text), encoding="utf-8")


def as_utf8(text: str) -> str:
    """Return a text that a file can hold: half a surrogate pair, as in JSON or in odd names, becomes an escape."""
    return text.encode(errors="backslashreplace").decode()


# What reading JSON that is not what it should be may raise.
NOT_AS_WRITTEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip


@contextlib.contextmanager
def whole_file(path: Path, durable: bool = True, key: str = "output") -> Iterator[Path]:
    """Yield a temporary path to write to, which takes the name `path` once the block has ended well."""
    with explained(path, key):
        make_folder(path.parent)
        # In the same folder, for a rename replaces a file only within a file system; cut, so that the ending has room.
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            if durable:
                _sync(temporary)
            follow_mode(temporary)
            _put(temporary, path)
        # Ctrl-C as well leaves no temporary file.
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def _put(temporary: Path, path: Path) -> None:
    """Give a file its name, in the place of whatever had it: a folder is cleared away."""
    with inside_fence(path):
        if path.is_dir() and not path.is_symlink():
            _clear(path)
        temporary.replace(path)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, open to the same people as the one it stands in."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file stands there", str(path)) from None
        return
    follow_mode(path)


def check_writable(folder: Path, key: str) -> None:
    """Refuse a folder that may not be written to, before any work; one that is not there yet by what it stands in.

    `key` is the setting or option that says where it is.
    """
    place = folder if folder.exists() else folder.parent
    with explained(folder, key):
        if place.is_dir() and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, "not writable", str(place))


def follow_mode(path: Path) -> None:
    """Let whoever may read or write a folder do the same with `path` in it; where modes cannot be set, leave them."""
    with contextlib.suppress(OSError):
        mode = shared_mode(path.parent)
        now = path.stat().st_mode
        if path.is_dir():
            path.chmod(stat.S_IMODE(now) & ~0o777 | mode | (mode & 0o444) >> 2)
        else:
            path.chmod(mode)


def shared_mode(folder: Path) -> int:
    """Return the mode of files in a folder: the folder's own; in one where everybody keeps things, like /tmp, 0644."""
    mode = folder.stat().st_mode
    return 0o644 if mode & stat.S_ISVTX else mode & 0o666 | 0o600


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable; file systems that cannot are left as they are."""
    with contextlib.suppress(OSError):
        _sync(folder)


def _sync(path: Path) -> None:
    """Have the content of a file, or the entries of a folder, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def shared_lock(path: Path, key: str = "output") -> BaseFileLock:
    """Return a lock that every user of its folder can take; what is no plain file in its place is put aside."""
    with explained(path, key):
        make_folder(path.parent)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            _clear(path)
        if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            follow_mode(path)  # one's own; another user's stays, and may be held
            os.close(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK))
        return FileLock(path, mode=shared_mode(path.parent))


def _clear(path: Path) -> None:
    """Put aside what stands in a file's place, and say so."""
    plain = path.is_file() and not path.is_symlink()
    why = "may not be written" if plain else "is no plain file"
    log.warning("%s %s: it was put aside as %s", path, why, put_aside(path).name)


def put_aside(path: Path) -> Path:
    """Rename what is damaged, so that it can be looked at and is in nobody's way; return where it went."""
    for number in itertools.count(1):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not os.path.lexists(aside):
            path.rename(aside)
            return aside
    raise AssertionError


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_plain(path: Path) -> bytes:
    """Read a file without ever waiting: a link, a pipe or a device in its place is an `OSError`, like a folder."""
    with opened_plain(path) as file:
        return file.read()


@contextlib.contextmanager
def opened_plain(path: Path) -> Iterator[BinaryIO]:
    """Open a file as `read_plain` reads it."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        yield file


def make_way(path: Path) -> None:
    """Put aside what cannot be added to: a pipe would wait, a link lead elsewhere, another user's file refuse."""
    plain = path.is_file() and not path.is_symlink()
    if os.path.lexists(path) and not (plain and os.access(path, os.W_OK, effective_ids=True)):
        with inside_fence(path):
            _clear(path)


def inside(folder: Path, name: str) -> Path:
    """Return `folder/name` for a name that was read from a study; one that leads out, by a link too, is refused."""
    path = folder
    for part in _parts(folder, name):
        path = path / part
        if path.is_symlink():
            raise UserError(f"{path} is a link; files of a cell lie in its folder")
    return path


def read_inside(folder: Path, name: str) -> bytes:
    """Read a file of a cell by a name that was read from a study, following no link below `folder`."""
    *above, last = _parts(folder, name)
    # From handle to handle: what is checked by its path and opened afterwards could be a link by then.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in above:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            os.close(handle)
            handle = deeper
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        return _read(os.open(last, flags, dir_fd=handle), folder / name)
    finally:
        os.close(handle)


def is_inside(name: str) -> bool:
    """Tell whether a name can be that of a file inside a folder."""
    path = PurePosixPath(name)
    within = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
    return within and "\0" not in name and as_utf8(name) == name


def is_folder_name(name: str) -> bool:
    """Tell whether a name can be that of a folder which stands in another one."""
    return is_inside(name) and PurePosixPath(name).parts == (name,)


def _parts(folder: Path, name: str) -> tuple[str, ...]:
    if not is_inside(name):
        raise UserError(f"{folder.name}: {name[:100]!r} is no name of a file inside the cell's folder")
    return PurePosixPath(name).parts


def _read(handle: int, path: Path) -> bytes:
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read()


def write_sealed(path: Path, value: Any, key: str) -> None:
    """Note a JSON value that can be found out again, with a checksum that binds it to its place.

    Where nothing can be written, as in a cache that somebody else keeps, it is found out again each time.
    """
    text = json.dumps(value)
    with contextlib.suppress(UserError):
        write_whole(path, json.dumps([_seal(path, text), text]), durable=False, key=key)


def read_sealed(path: Path) -> Any:
    """Return a noted value; None where there is none, or not as it was written there."""
    try:
        seal, text = json.loads(read_plain(path))
        return json.loads(text) if seal == _seal(path, text) else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _seal(path: Path, text: str) -> str:
    return hashlib.sha256(f"{path.name}\n{text}".encode()).hexdigest()[:32]


@contextlib.contextmanager
def explained(path: Path, key: str = "output", errors: Collection[int] = tuple(_SAID)) -> Iterator[None]:
    """Turn the errors of a full, read-only, forbidden or failing disk into one message; `key` says where `path` is."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno not in errors:
            raise
        raise UserError(f"cannot write {path}: {_SAID[error.errno].format(key=key)}") from error
