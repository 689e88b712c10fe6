"""What trained and tested a cell: a line for each process that a fit or a test went on in, beside its training state.

A fit may begin on one machine and end on another, and a cell may be tested on a third, or on two: its record says of
training what is noted here, never what happens to test it, and of predictions where those were made that it took over.
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
import transformers

from instruct_ablate.disk.whole_files import read_sealed, write_sealed
from instruct_ablate.model.loading.precision import DTYPES
from instruct_ablate.process.turns import this_cell

FILE = "stretches.json"
EARLIER = "as by earlier versions"


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what a model is run."""

    host: str
    device: str  # cpu, cuda
    precision: str
    versions: str

    def __str__(self) -> str:
        """Write it for a note."""
        return f"{self.host} ({self.device}, {self.precision}, {self.versions})"


@dataclass(frozen=True, slots=True)
class Stretch:
    """The steps or predictions after `first`, as one process made them.

    `company`: with how many other cells at most it took steps. `way`: what rounds otherwise in its steps than in those
    of earlier versions, which noted none; empty where nothing does.
    """

    first: int
    place: Place
    company: int = 0
    way: str = ""


def here(device: torch.device, dtype: torch.dtype) -> Place:
    """Describe the calling process."""
    name = str(dtype).removeprefix("torch.")
    precision = next((short for short, full in DTYPES.items() if full == name), name)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    return Place(socket.gethostname(), device.type, precision, versions)


class Stretches:
    """The stretches of a fit or test that goes on after `first`: what was done beyond it before is done anew."""

    def __init__(self, folder: Path, first: int, place: Place, way: str = "") -> None:
        self._path = folder / FILE
        self.before = [one for one in read_stretches(folder) if one.first < first]
        self._own = Stretch(first, place, way=way)

    def write(self) -> None:
        """Note them, with the company that this one has had by now."""
        cell = this_cell()
        own = replace(self._own, company=cell.company if cell is not None else 0)
        write_sealed(self._path, [asdict(one) for one in (*self.before, own)], "output")


def read_stretches(folder: Path) -> list[Stretch]:
    """Return what trained the weights that lie in `folder`; nothing where an older version did, or it is damaged."""
    try:
        return [
            Stretch(**{**one, "place": Place(**one["place"])}) for one in read_sealed(folder / FILE) or ()
        ]
    except (TypeError, KeyError):
        return []


def company(stretches: Sequence[Stretch]) -> int:
    """Return with how many other cells at most steps were taken in one pass."""
    return max((one.company for one in stretches), default=0)


def of_unknown_place(before: Sequence[Stretch], taken_over: int) -> int:
    """Count the predictions that a test took over of which nobody noted where they were made: an earlier version's."""
    return before[0].first if before else taken_over


def told_of_tests(before: Sequence[Stretch], taken_over: int, total: int, tested: Place) -> str:
    """Say where the predictions were made that a test has taken over, if that is not where it ended; else nothing."""
    counts: dict[str, int] = {}
    ends = [*(one.first for one in before[1:]), taken_over]
    for one, end in zip(before, ends, strict=True) if before else ():
        counts[str(one.place)] = counts.get(str(one.place), 0) + end - one.first
    if unknown := of_unknown_place(before, taken_over):
        counts["a place that is not known"] = unknown
    elsewhere = [f"{n} of {total} on {place}" for place, n in counts.items() if place != str(tested)]
    return f"predictions were made elsewhere: {', '.join(elsewhere)}; tested on {tested}" if elsewhere else ""


def told(stretches: Sequence[Stretch], tested: Place) -> list[str]:
    """Say where it was trained, where that is not, from first to last, where it is tested, or is not known.

    And in which ways its steps were computed, where these are several.
    """
    return [*_places(stretches, tested), *_ways(stretches)]


def _ways(stretches: Sequence[Stretch]) -> list[str]:
    ways = [(one.first, one.way) for one in stretches]
    if ways and ways[0][0] > 0:
        ways = [(0, ""), *ways]  # of a version that noted nothing
    if len({way for _, way in ways}) < 2:
        return []
    parts = [ways[0][1] or EARLIER]
    parts += [
        f"after step {first} {way or EARLIER}"
        for (_, before), (first, way) in pairwise(ways)
        if way != before
    ]
    return [f"trained in several ways, which round otherwise: {', '.join(parts)}"]


def _places(stretches: Sequence[Stretch], tested: Place) -> list[str]:
    unknown = stretches[0].first if stretches else 0
    if not unknown and all(one.place == tested for one in stretches):
        return []
    parts = [str(stretches[0].place)]
    if unknown:
        parts = [
            f"a place that is not known, by a version that noted none, after step {unknown} on {parts[0]}"
        ]
    parts += [
        f"after step {one.first} on {one.place}"
        for before, one in pairwise(stretches)
        if one.place != before.place
    ]
    return [f"trained on {', '.join(parts)}; tested on {tested}"]
