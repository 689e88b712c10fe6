"""Which predictions a page has room for, and reading just those.

The first seed of every setting comes first, then further seeds while all of it fits. Where the first seeds alone are
too many, the page takes the same few instances of every task under each setting: those with the smallest checksum.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from instruct_ablate.cell.state.record.instance_scores import change_told, digest_of
from instruct_ablate.cell.state.record.predictions import PredictionRow, from_line
from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, explained, read_plain
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.plural import counted

MOST_ROWS = 100_000  # predictions on a page
REMEMBERED = 8_192  # lines that are read once, however many files hold them
FEWEST = 10  # instances of a task; with less room than that, settings are left out instead
Block = tuple[CellRecord, ScoreBlock]


@dataclass(frozen=True, slots=True)
class Sample:
    """Score blocks to show, how many instances of each task (None: all), and how much there is altogether."""

    blocks: tuple[Block, ...]
    per_task: int | None
    rows: int
    every_block: int
    every_row: int

    @property
    def note(self) -> str:
        """Say what is shown and what is not; empty where all is shown."""
        if self.rows == self.every_row:
            return ""
        part = f", of every task the same {counted(self.per_task, 'instance')}" if self.per_task else ""
        return (
            f"Shown: {self.rows:,} of {counted(self.every_row, 'prediction')}, {len(self.blocks)} of "
            f"{counted(self.every_block, 'cell')} and test instructions (lowest seeds first){part}. "
            f"All of them lie in the cells' folders."
        )


def every_block(cells: Sequence[CellRecord]) -> tuple[Block, ...]:
    """Return all that is done."""
    return tuple((cell, block) for cell in cells if cell.state == "done" for block in cell.blocks)


def choose(cells: Sequence[CellRecord], most: int = MOST_ROWS) -> Sample:
    """Choose what a page shows of all that is done."""
    every = every_block(cells)
    chosen = [every[place] for place in sorted(_by_seed(every, most))]
    per_task = _per_task(chosen, most)
    while per_task is not None and per_task < FEWEST and len(chosen) > 1:
        chosen.pop()
        per_task = _per_task(chosen, most)
    rows = sum(_size(block, per_task) for _, block in chosen)
    return Sample(tuple(chosen), per_task, rows, len(every), sum(_size(block) for _, block in every))


def _by_seed(every: Sequence[Block], most: int) -> Iterator[int]:
    """Yield the places of the first seed of each setting, and of further ones while there is room."""
    ranks: dict[object, int] = {}
    order = []
    for place in sorted(range(len(every)), key=lambda place: every[place][0].seed):
        cell, block = every[place]
        setting = (cell.setting, cell.test_name(block))
        ranks[setting] = ranks.get(setting, -1) + 1
        order.append((ranks[setting], place))
    room = most
    for rank, place in sorted(order):
        room -= _size(every[place][1])
        if rank > 0 and room < 0:
            return
        yield place


def _size(block: ScoreBlock, per_task: int | None = None) -> int:
    counts = [task.score.instances for task in block.scores.tasks]
    return sum(counts) if per_task is None else sum(min(count, per_task) for count in counts)


def _per_task(chosen: Sequence[Block], most: int) -> int | None:
    """Return the largest number of instances per task that fits; None where all fit."""
    if sum(_size(block) for _, block in chosen) <= most:
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        fits = sum(_size(block, middle) for _, block in chosen) <= most
        low, high = (middle, high) if fits else (low, middle)
    return max(1, low)


class ChangedError(UserError):
    """A predictions file is not the one whose scores the record holds."""


LineReader = Callable[[bytes], PredictionRow]


def line_reader() -> LineReader:
    """Return a reader of lines for all files of a page: where seeds answer alike, their files hold the same lines."""
    return lru_cache(maxsize=REMEMBERED)(from_line)


def read_sample(
    path: Path, per_task: int | None, read: LineReader = from_line, scored: ScoreBlock | None = None
) -> tuple[PredictionRow, ...]:
    """Read the chosen rows of a prediction file, task by task; the others are not even parsed.

    Where it has to be what a block's scores were computed from, a changed one is a `ChangedError`.
    """
    with explained(path):
        data = read_plain(path)
    if scored is not None and (told := change_told(scored, digest_of(data))):
        raise ChangedError(f"{path}: {told}")
    lines = data.split(b"\n")[:-1]
    try:
        return tuple(read(line) for line in (_smallest(lines, per_task) if per_task else lines))
    except NOT_AS_WRITTEN as error:
        raise UserError(f"{path}: holds a line that is no prediction ({in_a_line(error)}).") from error


def _smallest(lines: Sequence[bytes], per_task: int) -> Iterator[bytes]:
    """Yield so many lines of each task: those whose task and instance have the smallest checksums.

    A line begins with task, category, kind and instance id; within them a quotation mark is escaped, so the first
    bare `, "prompt": ` ends them.
    """
    tasks: dict[bytes, list[tuple[int, int]]] = {}
    for number, line in enumerate(lines):
        head = line[: line.find(b', "prompt": ')]
        task = head[: head.find(b', "category": ')]
        tasks.setdefault(task, []).append((zlib.crc32(head), number))
    for found in tasks.values():
        found.sort()
        yield from (lines[number] for _, number in found[:per_task])
