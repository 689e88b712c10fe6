"""Kills, a thousand where asked for: tiny grids killed at random moments, whose files end as those of one left alone.

`INSTRUCT_ABLATE_KILLS` says how many, `INSTRUCT_ABLATE_KILLS_SEED` when (with `-s` the counts are printed); the default
takes half a minute.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.grid.clean import leftovers
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.study import read_study
from instruct_ablate.schema import Config
from tests.damage import study
from tests.standins import make_config, replace_inputs

pytestmark = pytest.mark.slow
CONTEXT = multiprocessing.get_context("fork")
KILLS = int(os.environ.get("INSTRUCT_ABLATE_KILLS", "60"))
SEED = int(os.environ.get("INSTRUCT_ABLATE_KILLS_SEED", "11"))
FAULTS = ("lost", "done again", "changed")
SEEDS = range(3)
TOGETHER = 0.3  # how often two commands run the same grid at once


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def grid(folder: Path) -> list[Config]:
    return [make_config(folder, seed=seed, study="study") for seed in SEEDS]


def sweep(folder: Path, backwards: bool = False) -> None:
    """Ask for the grid and run its cells; what has reached the disk is noted beside it, in one write a line."""
    handle = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    append = PredictionWriter.append

    def noted(writer: PredictionWriter, row: PredictionRow) -> None:
        append(writer, row)
        os.write(handle, f"{writer.path.parents[1].name} {row.instance_id}\n".encode())

    PredictionWriter.append = noted  # type: ignore[method-assign]
    configs = grid(folder)
    declare(folder / "study", [identify(config) for config in configs], configs[0])
    for config in reversed(configs) if backwards else configs:
        run_cell(config, stand_in)


def stand_in(job: Job) -> Outcome:
    return study.stand_in(job)


def start(folder: Path, backwards: bool = False) -> multiprocessing.process.BaseProcess:
    process = CONTEXT.Process(target=sweep, args=(folder, backwards))
    process.start()
    return process


def finished(folder: Path) -> dict[str, bytes]:
    """What a grid has to show: records, predictions and scores of its done cells."""
    done = [cell.name for cell in read_study(folder / "study").cells if cell.state == "done"]
    files = (path for name in done for path in (folder / "study" / name).rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.name in ("record.json", "training.jsonl") or path.parent.name in ("predictions", "scores")
    }


def bits(folder: Path) -> dict[str, object]:
    """The same without times: what must be equal in every run."""
    told: dict[str, object] = {
        name: content for name, content in finished(folder).items() if not name.endswith("record.json")
    }
    for cell in read_study(folder / "study").cells:
        told[cell.name] = (cell.state, cell.identity, cell.blocks)
    return told


def undisturbed(folder: Path) -> float:
    """Run the grid to its end; return how long that took."""
    folder.mkdir()
    began = time.monotonic()
    start(folder).join()
    return time.monotonic() - began


def moments(draw: random.Random, longest: float) -> Iterator[float]:
    while True:
        yield draw.uniform(0, longest)


def test_killed_at_random_moments_nothing_is_lost_redone_or_changed(tmp_path: Path) -> None:
    lasted = min(undisturbed(tmp_path / name) for name in ("warm", "whole"))
    draw = random.Random(SEED)
    waits = moments(draw, 0.8 * lasted)  # what is killed goes on: all of it is reached
    expected, whole, grids = bits(tmp_path / "whole"), len(finished(tmp_path / "whole")), 0
    assert [cell.state for cell in read_study(tmp_path / "whole" / "study").cells] == ["done"] * len(SEEDS)
    counts: Counter[str] = Counter()
    while counts["kills"] < KILLS:
        folder, grids = tmp_path / str(grids), grids + 1
        folder.mkdir()
        before: dict[str, bytes] = {}
        while len(before) < whole and counts["kills"] < KILLS:
            both = [start(folder), *([start(folder, True)] if draw.random() < TOGETHER else [])]
            counts["kills"] += sum(killed(process, next(waits)) for process in both)
            now = finished(folder) if (folder / "study").is_dir() else {}
            counts += differing(before, now)
            before = now
        start(folder).join()
        counts += differing(expected, bits(folder))
        counts["done again"] += redone(folder)
        check(folder)
        shutil.rmtree(folder)
        sys.stdout.write(f"{counts['kills']} kills over {grids} grids: {', '.join(said(counts))}\n")
        sys.stdout.flush()
    assert not any(counts[name] for name in FAULTS), counts


def differing(before: Mapping[str, object], now: Mapping[str, object]) -> Counter[str]:
    """Count what was there and is gone, and what is other than it was."""
    lost = [name for name in before if name not in now]
    changed = [name for name in before if name in now and now[name] != before[name]]
    return Counter({name: count for name, count in (("lost", len(lost)), ("changed", len(changed))) if count})


def said(counts: Mapping[str, int]) -> list[str]:
    return [f"{counts[name]} {name}" for name in FAULTS]


def redone(folder: Path) -> int:
    """Count the rows that had reached the disk and were made once more."""
    noted = Counter((folder / "journal").read_text().splitlines())
    return sum(count - 1 for count in noted.values())


def killed(process: multiprocessing.process.BaseProcess, seconds: float) -> bool:
    """Wait, then kill; whether it still lived."""
    process.join(seconds)
    alive = process.exitcode is None
    if alive:
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == -signal.SIGKILL


def check(folder: Path) -> None:
    """Curves have every step once, nothing was taken for damaged, and what is left over is known as that."""
    for curve in folder.glob("study/*/training.jsonl"):
        steps = [json.loads(line)["step"] for line in curve.read_text().splitlines()]
        assert steps == list(range(1, study.ROWS + 1))
    assert not [path.name for path in folder.rglob("*") if "damaged" in path.name or "corrupt" in path.name]
    left = [leftover.path for leftover in leftovers(folder / "study")]  # of a cell killed after its record
    assert all(path.parent in left for path in folder.rglob("*.ckpt"))
