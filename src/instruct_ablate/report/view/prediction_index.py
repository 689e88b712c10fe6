"""Where predictions stand in their files: any instance of a study is read as it is looked at, of however many."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from instruct_ablate.cell.state.record.instance_scores import change_told
from instruct_ablate.cell.state.record.predictions import PredictionRow, from_line
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, inside, opened_plain
from instruct_ablate.errors import UserError
from instruct_ablate.report.page.browser import Gathered
from instruct_ablate.report.page.sample import Block

log = logging.getLogger(__name__)
MOST_FOUND = 8  # selections whose instances are remembered
PROMPT = b', "prompt": '  # ends what a line says of its instance; within it a quotation mark is escaped
ABSENT = -1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which instances are looked at: of one task, right or wrong in a column, with a text in them."""

    task: str = ""
    right: int | None = None
    wrong: int | None = None
    search: str = ""


@dataclass(slots=True)
class _Column:
    """A file of predictions as it was when its lines were found: where each instance begins, by number."""

    stamp: tuple[int, int] | None
    offsets: np.ndarray
    exact: np.ndarray | None = None  # exact match by number, read when it is asked for


class PredictionIndex:
    """The predictions of score blocks, a column each; files that change meanwhile are read again."""

    def __init__(self, study: Path, blocks: Sequence[Block], metrics: tuple[str, ...]) -> None:
        self._study, self._blocks, self._metrics = study, tuple(blocks), metrics
        self._numbers: dict[tuple[str, str], int] = {}
        self._heads: dict[bytes, int] = {}
        self._tasks: dict[str, list[int]] = {}
        self._columns: list[_Column | None] = [None] * len(self._blocks)
        self._found: dict[tuple[object, ...], tuple[int, ...]] = {}
        # Each request has a thread of its own, and what is known of the files grows as they are looked at.
        self._lock = threading.Lock()

    def look(self, selection: Selection, place: int = 0, at: str = "") -> dict[str, Any]:
        """Return how many instances fit, and the one at a place, or of the id `at` where it is among them."""
        with self._lock:
            found = self._find(selection)
            if not found:
                return {"count": 0, "place": 0}
            names = list(self._numbers)
            wanted = (where for where, number in enumerate(found) if names[number][1] == at)
            place = next(wanted, place % len(found)) if at else place % len(found)
            return {"count": len(found), "place": place, **self._instance(found[place], names[found[place]])}

    def _find(self, selection: Selection) -> tuple[int, ...]:
        for side in (selection.right, selection.wrong):
            if side is not None and not 0 <= side < len(self._blocks):
                raise UserError(f"there is no column {side}; the study has {len(self._blocks)}")
        columns = [self._column(number) for number in range(len(self._blocks))]
        key = (selection, tuple(column.stamp for column in columns))
        if key not in self._found:
            while len(self._found) >= MOST_FOUND:
                self._found.pop(next(iter(self._found)))
            self._found[key] = tuple(self._fitting(selection, columns))
        return self._found[key]

    def _fitting(self, selection: Selection, columns: Sequence[_Column]) -> Iterator[int]:
        tasks = [selection.task] if selection.task else list(self._tasks)
        numbers = [number for task in tasks for number in self._tasks.get(task, ())]
        if selection.right is not None:
            exact = self._exact(selection.right)
            numbers = [number for number in numbers if exact[number] >= 1]
        if selection.wrong is not None:
            exact = self._exact(selection.wrong)
            numbers = [number for number in numbers if exact[number] < 1]
        if selection.search:
            hits = self._holding(selection.search.lower(), numbers)
            numbers = [number for number in numbers if number in hits]
        there = np.zeros(len(self._numbers), bool)
        for column in columns:
            there[: len(column.offsets)] |= column.offsets != ABSENT
        yield from (number for number in numbers if there[number])

    def _holding(self, wanted: str, numbers: Sequence[int]) -> set[int]:
        """Return those whose id, prompt or answer under any column has the text."""
        names, escaped = list(self._numbers), json.dumps(wanted, ensure_ascii=False)[1:-1]
        hits = {number for number in numbers if wanted in names[number][1].lower()}
        for column in range(len(self._blocks)):
            open_still = [number for number in numbers if number not in hits]
            for number, line in self._lines(column, open_still):
                raw = line.decode(errors="replace").lower()
                # To look into the bytes is quick and to parse a line is not; a letter may stand there as its \u escape.
                if (escaped in raw or "\\u" in raw) and (row := _row(line)) is not None:
                    hits |= {number} if _holds(row, wanted) else set()
        return hits

    def _exact(self, number: int) -> np.ndarray:
        """Return exact match by instance; not a number where the column has no answer, which is neither."""
        column = self._column(number)
        if column.exact is None or len(column.exact) < len(self._numbers):
            exact = np.full(len(self._numbers), np.nan)
            for instance, line in self._lines(number, range(len(column.offsets))):
                if (row := _row(line)) is not None:
                    exact[instance] = row.right
            column.exact = exact
        return column.exact

    def _instance(self, number: int, name: tuple[str, str]) -> dict[str, Any]:
        """Read one instance under every column."""
        gathered, task = Gathered(self._metrics), name[0]
        for column in range(len(self._blocks)):
            for _, line in self._lines(column, (number,)):
                if (row := _row(line)) is not None and row.key == name:
                    gathered.add(column, row)
        of = gathered.tasks.get(task, {"kind": "", "instances": {name[1]: {"references": [], "answers": []}}})
        one = of["instances"][name[1]]
        return {"task": task, "id": name[1], "kind": of["kind"], **one, "texts": list(gathered.texts)}

    def _lines(self, number: int, instances: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of instances that a column has, in the file's order."""
        offsets = self._column(number).offsets
        wanted = sorted(
            (int(offsets[one]), one) for one in instances if one < len(offsets) and offsets[one] != ABSENT
        )
        if not wanted:
            return
        try:
            with opened_plain(self._path(number)) as file:
                for offset, one in wanted:
                    file.seek(offset)
                    yield one, file.readline()
        except (OSError, UserError):
            return

    def _path(self, number: int) -> Path:
        cell, block = self._blocks[number]
        return inside(self._study / cell.name, block.predictions)

    def _column(self, number: int) -> _Column:
        """Return where a column's lines begin; of a file that is gone or none, none."""
        known = self._columns[number]
        try:
            with opened_plain(self._path(number)) as file:
                status = os.fstat(file.fileno())
                stamp = (status.st_mtime_ns, status.st_size)
                if known is None or known.stamp != stamp:
                    held = hashlib.sha256()
                    known = _Column(stamp, self._offsets(file, held.update))
                    self._warn(number, held.hexdigest())
        except (OSError, UserError):
            known = _Column(None, np.empty(0, np.int64))
        self._columns[number] = known
        return known

    def _warn(self, number: int, digest: str) -> None:
        """Warn of a file that is not the one of its cell's scores, neither as it was nor as it is by now."""
        cell, block = self._blocks[number]
        now = read_record(self._study / cell.name)
        if (told := change_told(block, digest)) and not any(
            one.predictions == block.predictions and not change_told(one, digest)
            for one in (now.every_block if now else ())
        ):
            log.warning("%s: %s", cell.name, told)

    def _offsets(self, file: BinaryIO, seen: Callable[[bytes], object]) -> np.ndarray:
        """Find where each line begins; what is no line of predictions is passed over. `seen` is given every line."""
        begin, places = 0, []
        for line in file:
            seen(line)
            if line.endswith(b"\n") and (number := self._number(line)) is not None:
                places.append((number, begin))
            begin += len(line)
        offsets = np.full(max((number for number, _ in places), default=-1) + 1, ABSENT, np.int64)
        for number, place in places:
            offsets[number] = place
        return offsets

    def _number(self, line: bytes) -> int | None:
        """Return the number of a line's instance, a new one where it is met for the first time."""
        head = line[: line.find(PROMPT)]
        if (known := self._heads.get(head)) is not None:
            return known
        try:
            fields = load_json(head + b"}") if PROMPT in line else load_json(line)
            task, instance = fields["task"], fields["instance_id"]
        except NOT_AS_WRITTEN:
            return None
        if not (isinstance(task, str) and isinstance(instance, str)):
            return None
        number = self._numbers.get((task, instance), len(self._numbers))
        if number == len(self._numbers):
            self._numbers[task, instance] = number
            self._tasks.setdefault(task, []).append(number)
        if PROMPT in line:
            self._heads[head] = number
        return number


def _row(line: bytes) -> PredictionRow | None:
    try:
        return from_line(line)
    except NOT_AS_WRITTEN:
        return None


def _holds(row: PredictionRow, wanted: str) -> bool:
    return wanted in row.prompt.lower() or wanted in row.prediction.lower()
