"""Chunks of states on disk, found by the hash of the tokens up to their end: written once, read by every process.

A folder of the cache holds what one model's frozen layers give on one kind of machine. In it lie batches of chunks,
each a prepared folder of its own with a checksum a chunk, so that no writer touches what another wrote. A bucket, by
the first chunk of a sequence, is filled by one process at a time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from filelock import Timeout
from torch import Tensor

from instruct_ablate.disk.prepared import MANIFEST, damage, prepared
from instruct_ablate.disk.whole_files import explained, put_aside, remove, shared_lock
from instruct_ablate.errors import UserError, with_kind

log = logging.getLogger(__name__)
BUCKETS = 32
KEY = 16  # bytes
UNUSED = 24 * 3600.0  # seconds after which what nobody has used gives way to what is new
Ids = npt.NDArray[np.int32]


def chain(ids: Ids, size: int) -> list[bytes]:
    """Return the key of each chunk of a sequence: a hash of all tokens up to the chunk's end."""
    keys, last = [], b""
    for start in range(0, len(ids), size):
        piece = np.ascontiguousarray(ids[start : start + size], dtype="<i4").tobytes()
        last = hashlib.blake2b(last + piece, digest_size=KEY).digest()
        keys.append(last)
    return keys


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor, shared with it."""
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().data


def bucket_of(keys: Sequence[bytes]) -> int:
    """Return the bucket of a sequence, by its chunks' keys."""
    return keys[0][0] % BUCKETS


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a chunk lies: in which batch's file, at which byte, how many tokens, and their checksum."""

    batch: Path
    file: int
    start: int
    tokens: int
    crc: int


class _NoRoomError(Exception):
    """The store has no room for a batch."""


class StateStore:
    """The chunks of one model, as rows of `width` numbers of `dtype`; `limit` bytes for all models of the cache."""

    def __init__(self, folder: Path, width: int, dtype: torch.dtype, limit: int) -> None:
        self.folder, self.width, self.dtype, self.limit = folder, width, dtype, limit
        self.full: str | None = None  # why no more is kept
        self._places: dict[bytes, _Place] = {}
        self._files: dict[Path, int] = {}

    @property
    def row(self) -> int:
        """Bytes of a token."""
        return self.width * self.dtype.itemsize

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def read(self, key: bytes) -> Tensor | None:
        """Return a chunk's states (tokens, width); None for one that is not there, or not as it was written."""
        place = self._places.get(key)
        if place is None:
            return None
        states = torch.empty(place.tokens, self.width, dtype=self.dtype)
        view = bytes_of(states)
        got = os.preadv(place.file, [view], place.start)
        if got == view.nbytes and zlib.crc32(view) == place.crc:
            return states
        self._drop(place.batch, "a chunk of it is not what was written")
        return None

    def refresh(self, buckets: Iterable[int]) -> None:
        """Look for batches of these buckets that others have written."""
        wanted = {f"{bucket:02d}" for bucket in buckets}
        with suppress(OSError):  # nothing is there yet, or nothing that one may read
            for path in sorted(self.folder.iterdir()):
                name, _, rest = path.name.partition("-")
                if name in wanted and path not in self._files and "." not in rest:
                    self._open(path)

    def look(self, bucket: int, keys: Sequence[bytes]) -> None:
        """Look for the batch that has been written with these keys."""
        path = self._path(bucket, keys)
        if path not in self._files and path.exists():
            self._open(path)

    def _path(self, bucket: int, keys: Sequence[bytes]) -> Path:
        digest = hashlib.blake2b(b"".join(keys), digest_size=KEY).hexdigest()
        return self.folder / f"{bucket:02d}-{digest}"

    def _open(self, path: Path) -> None:
        if (why := damage(path)) is not None:
            self._drop(path, why)
            return
        try:
            keys = (path / "keys").read_bytes()
            table = np.load(path / "chunks.npy")
            file = os.open(path / "states", os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError, EOFError) as error:
            self._drop(path, with_kind(error))
            return
        self._files[path] = file
        ends = np.cumsum(table[:, 0]) * self.row
        for at, (tokens, crc) in enumerate(table.tolist()):
            key = keys[at * KEY : (at + 1) * KEY]
            self._places[key] = _Place(path, file, int(ends[at]) - tokens * self.row, tokens, crc)
        with suppress(OSError):
            os.utime(path)  # used now

    def _drop(self, path: Path, why: str) -> None:
        """Put a damaged batch aside; what was in it is computed again."""
        log.warning("%s is damaged (%s): it is put aside, its states are computed again", path, why)
        self._places = {key: place for key, place in self._places.items() if place.batch != path}
        if (file := self._files.pop(path, None)) is not None:
            os.close(file)
        with suppress(OSError):  # another process was first, or the cache is somebody else's
            put_aside(path)

    @contextmanager
    def filling(self, bucket: int, wait: bool) -> Iterator[bool]:
        """Have a bucket to oneself while this lasts; gives False where another process fills it and `wait` is off."""
        lock = shared_lock(self.folder / f".bucket-{bucket:02d}.lock", "cache")
        with explained(self.folder, "cache"):
            try:
                lock.acquire(timeout=-1 if wait else 0)
            except Timeout:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()

    def add(self, bucket: int, keys: Sequence[bytes], lengths: Sequence[int], made: Iterable[Tensor]) -> None:
        """Write a batch: chunks of so many tokens by their keys, computed as `made` is read.

        Where there is no room nothing is computed, and `full` says why.
        """
        if self.full is not None:
            return
        path = self._path(bucket, keys)

        def build(folder: Path) -> None:
            table = np.empty((len(keys), 2), dtype=np.int64)
            self._take_room(folder / "states", sum(lengths) * self.row)
            with (folder / "states").open("r+b") as file:
                for at, (states, tokens) in enumerate(zip(made, lengths, strict=True)):
                    view = bytes_of(states.to(self.dtype).contiguous())
                    if view.nbytes != tokens * self.row:
                        raise ValueError(f"{view.nbytes} bytes for {tokens} tokens of {self.row}")
                    file.write(view)
                    table[at] = tokens, zlib.crc32(view)
            np.save(folder / "chunks.npy", table)
            (folder / "keys").write_bytes(b"".join(keys))

        try:
            self._open(prepared(path, build))
        except _NoRoomError:
            pass
        except UserError as error:
            # A full disk, or somebody else's cache: the states are computed in every step.
            self.full = str(error)

    def _take_room(self, states: Path, size: int) -> None:
        """Make a file of so many bytes, which count from now on; raises `_NoRoomError` where they are too many.

        One process at a time: else several would take the same room, each before the others' batch is there.
        """
        kept = self.folder.parent
        with explained(kept, "cache"), shared_lock(kept.with_name(f".{kept.name}.lock"), "cache"):
            if not self._room(size):
                raise _NoRoomError
            with states.open("wb") as file:
                file.truncate(size)

    def _room(self, size: int) -> bool:
        """Whether so many bytes more may be written; what nobody has used for a day gives way."""
        batches = sorted((when, used, path) for path, when, used in _batches(self.folder.parent))
        left = self.limit - sum(used for _, used, _ in batches) - size
        for when, used, path in batches:
            if left >= 0 or when > time.time() - UNUSED:
                break
            if path not in self._files:
                with suppress(OSError):
                    (path / MANIFEST).unlink(missing_ok=True)  # whoever opens it meanwhile finds it damaged
                    remove(path)
                    left += used
        if left < 0:
            self.full = f"{self.limit / 1e9:g} GB are used up"
        return left >= 0

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            os.close(file)
        self._files, self._places = {}, {}


def _batches(folder: Path) -> Iterator[tuple[Path, float, int]]:
    """Yield every batch of every model, with the time of its last use and its size.

    Damaged ones take room, too, and so do those that are being written: `prepared` gives them their name at their end.
    """
    for name in ("[0-9][0-9]-*", ".[0-9][0-9]-*.unfinished"):
        for path in folder.glob(f"*/{name}"):
            with suppress(OSError):
                yield path, path.stat().st_mtime, (path / "states").stat().st_size


def make_store(cache: Path, name: str, width: int, dtype: torch.dtype, limit: int) -> StateStore:
    """Open the store of a model's frozen layers, known by `name`; its folder is made when something is to be kept."""
    return StateStore(cache / "frozen" / name, width, dtype, limit)
