"""Predictions as they are written: a line each, flushed as they come, under their final name once complete."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from instruct_ablate.cell.state.record.predictions import PredictionRow, partial_path, to_line, unfinished
from instruct_ablate.disk.fence import check_fence, inside_fence
from instruct_ablate.disk.whole_files import (
    explained,
    follow_mode,
    make_folder,
    read_plain,
    remove,
    sync_folder,
    whole_file,
)

log = logging.getLogger(__name__)


_SYNC_EVERY = 256  # rows; a killed process loses none, a machine without power at most so many


class PredictionWriter:
    """Appends rows to `<path>.partial-<generation>`; `finish` renames it. Each row reaches the system before the next.

    Where the disk fills up, `append` raises a `UserError`; the rows before are whole on disk. What an earlier process
    has written is copied, not gone on with: should it still live, it writes to a file of its own. `begin` are rows to
    go on from instead of those that are there.
    """

    def __init__(self, path: Path, begin: Sequence[PredictionRow] | None = None) -> None:
        self.path = path
        self._rows = 0
        with explained(path):
            make_folder(path.parent)
            self._partial = partial_path(path, check_fence(path))
            self._go_on(begin)
            self._file = self._partial.open("ab", buffering=0)
            follow_mode(self._partial)
            self._size = self._cut_tail()

    def _go_on(self, begin: Sequence[PredictionRow] | None) -> None:
        """Take over the rows that are there: of a complete file whose cell is not done, or of earlier processes."""
        earlier = [*unfinished(self.path), *([self.path] if self.path.exists() else [])]
        if begin is not None:
            with whole_file(self._partial, durable=False) as renewed:
                renewed.write_bytes(b"".join(to_line(row).encode() + b"\n" for row in begin))
        elif earlier and earlier[-1] != self._partial:
            with whole_file(self._partial, durable=False) as copy:
                copy.write_bytes(read_plain(earlier[-1]))
        with inside_fence(self.path):
            for one in earlier:
                if one != self._partial:
                    remove(one)

    def append(self, row: PredictionRow) -> None:
        """Write one row, whole or not at all."""
        line = to_line(row).encode() + b"\n"
        # Before each row: who was taken over in the meantime writes nothing more.
        check_fence(self.path)
        with explained(self.path):
            try:
                self._write(line)
            except OSError:
                self._file.truncate(self._size)
                raise
        self._size += len(line)

    def finish(self) -> None:
        """Make the file durable and give it its final name."""
        with explained(self.path):
            # Content before name: the final name says that all of it is there.
            os.fsync(self._file.fileno())
            self._file.close()
            with inside_fence(self.path):
                self._partial.replace(self.path)
            sync_folder(self.path.parent)

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:  # a nearly full disk takes a part of a line before it refuses
            rest = rest[self._file.write(rest) :]
        self._rows += 1
        if self._rows % _SYNC_EVERY == 0:
            os.fsync(self._file.fileno())

    def _cut_tail(self) -> int:
        """Cut off a half-written last line; return the size that stays."""
        content = read_plain(self._partial)
        size = content.rfind(b"\n") + 1
        if size < len(content):
            log.warning("%s: the last line is half-written and was dropped", self.path)
            self._file.truncate(size)
        return size

    def __enter__(self) -> PredictionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
