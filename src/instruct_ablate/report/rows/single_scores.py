"""Scores of single instances: what both sides of a comparison scored on each, from the files beside the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from instruct_ablate.cell.state.record.instance_scores import KEYS, read_columns
from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.errors import UserError
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.rows.trials import Trial
from instruct_ablate.report.statistics.paired import Pairing
from instruct_ablate.report.statistics.variance.outcomes import Outcomes

Number = TypeVar("Number", np.float64, np.uint64)
MOST_LAYOUTS = 8  # that are remembered


@dataclass(frozen=True, slots=True)
class Sorted:
    """A cell's scores by task and instance: the ids of every task in order, where they stand, and the columns."""

    ids: Mapping[str, Any]  # arrow's, which compares them fast
    rows: Mapping[str, slice]
    columns: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which instances a file has, in its own order, and where they stand by task and instance.

    The cells of a study are tested on the same instances: what one file's layout is, so are the others'.
    """

    keys: tuple[Any, ...]
    order: NDArray[np.int64]
    ids: Mapping[str, Any]
    rows: Mapping[str, slice]


class SingleScores:
    """The single scores of a study's done cells; each file is read once, when a comparison needs it."""

    def __init__(self, cells: Iterable[CellRecord] = (), folder: Path | None = None) -> None:
        self._places: dict[Trial, dict[int, tuple[Path, tuple[ScoreBlock, ...]]]] = {}
        self._read: dict[tuple[Trial, int], Sorted | None] = {}
        self._layouts: list[Layout] = []
        if folder is None:
            return
        for cell in cells:
            for blocks in cell.tests if cell.state == "done" else ():
                seeds = self._places.setdefault(Trial(cell.setting, blocks[0].instruction), {})
                seeds[cell.seed] = (folder / cell.name, blocks)

    def added(self, pairing: Pairing, sides: tuple[Trial, Trial], measure: str) -> Pairing:
        """Return the pairing with its outcomes; as it is where a side has none, or they are not those of its means."""
        metric = find_measure(measure).metric
        left, right = ([self._side(side, seed) for seed in pairing.seeds] for side in sides)
        if not pairing.percent or not all(one and metric.name in one.columns for one in (*left, *right)):
            return pairing
        both = [[one for one in side if one] for side in (left, right)]
        outcomes = _aligned(pairing.tasks, both, metric.name)
        # Scores of a file that the record's means are not made of must not say how sure these are.
        if outcomes is None or not np.allclose(outcomes.differences, pairing.differences, atol=1e-6):
            return pairing
        return replace(pairing, outcomes=outcomes)

    def _side(self, trial: Trial, seed: int) -> Sorted | None:
        """Return a trial's scores for a seed, over its templates; of what has no seeds, those there are."""
        seeds = self._places.get(trial, {})
        if not seeds:
            return None
        place = trial, seed if seed in seeds else min(seeds)
        if place not in self._read:
            folder, blocks = seeds[place[1]]
            scored = all(block.instances for block in blocks)  # not so by an earlier version
            read = [_read(folder, block.instances, self._layouts) for block in blocks] if scored else [None]
            self._read[place] = _mean(read)
        return self._read[place]


def _mean(every: Sequence[Sorted | None]) -> Sorted | None:
    """Average scores of the same instances; None where some lack, or are of others."""
    known = [one for one in every if one is not None]
    if len(known) < len(every):
        return None
    first = known[0]
    for one in known[1:]:
        if one.rows != first.rows or not all(first.ids[task].equals(ids) for task, ids in one.ids.items()):
            return None
    columns = {
        name: np.mean([one.columns[name] for one in known], axis=0)
        for name in (first.columns if len(known) > 1 else ())
        if all(name in one.columns for one in known)
    }
    return replace(first, columns=columns) if len(known) > 1 else first


def _read(folder: Path, name: str, layouts: list[Layout]) -> Sorted | None:
    """Read a column file in the order of its keys; `layouts` are those of files read before."""
    try:
        table = read_columns(folder, name)
    except (OSError, UserError, ValueError):
        return None  # the instances count as unpaired then, which is said
    keys = tuple(table.column(key).combine_chunks() for key in KEYS)
    layout = next((one for one in layouts if all(map(_same, keys, one.keys))), None)
    if layout is None:
        layout = _layout(keys)
        layouts[MOST_LAYOUTS - 1 :] = []
        layouts.insert(0, layout)
    scores = (one for one in table.column_names if one not in KEYS)
    columns = {one: _numbers(table.column(one))[layout.order] for one in scores}
    return Sorted(layout.ids, layout.rows, columns)


def _numbers(column: Any) -> NDArray[np.float64]:
    """Return a column of float64; NaN where there is no number."""
    whole = column.combine_chunks()
    values = _as_numpy(whole, np.float64)
    if not whole.null_count:
        return values
    there = np.unpackbits(np.frombuffer(whole.buffers()[0], np.uint8), bitorder="little")
    return np.where(there[whole.offset : whole.offset + len(whole)], values, np.nan)


def _as_numpy(array: Any, kind: type[Number]) -> NDArray[Number]:
    """Look at an arrow array's bytes as numpy's: arrow's own way imports pandas first. Nulls are any number."""
    held = array.buffers()[1]
    return np.frombuffer(held, kind)[array.offset : array.offset + len(array)] if held else np.empty(0, kind)


def _same(one: Any, other: Any) -> bool:
    return bool(one.equals(other))


def _layout(keys: tuple[Any, ...]) -> Layout:
    """Sort instances by task and id; arrow sorts and compares, for there may be millions of scores."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.table(dict(zip(KEYS, keys, strict=True)))
    order = pc.sort_indices(table, sort_keys=[(key, "ascending") for key in KEYS])
    names, ids = (pc.take(key, order) for key in keys)
    encoded = pc.run_end_encode(names) if len(names) else None
    tasks = encoded.values.to_pylist() if encoded else []
    ends = encoded.run_ends.to_pylist() if encoded else []
    rows = {task: slice(start, end) for task, start, end in zip(tasks, [0, *ends], ends, strict=False)}
    by_task = {task: ids[own.start : own.stop] for task, own in rows.items()}
    return Layout(keys, _as_numpy(order, np.uint64).astype(np.int64), by_task, rows)


def _aligned(tasks: Sequence[str], sides: Sequence[Sequence[Sorted]], metric: str) -> Outcomes | None:
    """Stack the seeds' percentages task by task; None where they are not of the same instances, or some lack."""
    every = list({id(one.ids): one for side in sides for one in side}.values())  # once for each layout
    for task in tasks:
        if not all(task in one.ids for one in every):
            return None
        if not all(every[0].ids[task].equals(one.ids[task]) for one in every[1:]):
            return None
    left, right = (
        tuple(np.stack([100 * one.columns[metric][one.rows[task]] for one in side]) for task in tasks)
        for side in sides
    )
    return None if any(np.isnan(scores).any() for scores in (*left, *right)) else Outcomes(left, right)
