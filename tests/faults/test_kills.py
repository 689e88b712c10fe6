"""A thousand kills: tiny grids, with all their files, killed at random moments; what they end with is what they are.

`INSTRUCT_ABLATE_KILLS` says how many (with `-s` the count is printed); the default takes half a minute.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.predictions import PredictionRow, PredictionWriter
from instruct_ablate.grid.clean import leftovers
from instruct_ablate.grid.study import declare, read_study
from instruct_ablate.schema import Config
from tests.damage import study
from tests.standins import make_config, replace_inputs

pytestmark = pytest.mark.slow
CONTEXT = multiprocessing.get_context("fork")
KILLS = int(os.environ.get("INSTRUCT_ABLATE_KILLS", "60"))
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
    draw = random.Random(11)
    waits = moments(draw, 0.8 * lasted)  # what is killed goes on: all of it is reached
    expected, kills, grids = bits(tmp_path / "whole"), 0, 0
    assert [cell.state for cell in read_study(tmp_path / "whole" / "study").cells] == ["done"] * len(SEEDS)
    while kills < KILLS:
        folder, grids = tmp_path / str(grids), grids + 1
        folder.mkdir()
        before: dict[str, bytes] = {}
        while len(before) < len(finished(tmp_path / "whole")) and kills < KILLS:
            both = [start(folder), *([start(folder, True)] if draw.random() < TOGETHER else [])]
            kills += sum(killed(process, next(waits)) for process in both)
            now = finished(folder) if (folder / "study").is_dir() else {}
            assert {name: now.get(name) for name in before} == before, "what was done is as it was"
            before = now
        start(folder).join()
        assert bits(folder) == expected
        check(folder)
        sys.stdout.write(f"{kills} kills over {grids} grids: nothing lost, redone or changed\n")
        sys.stdout.flush()


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
    """Nothing that had reached the disk was done again, and nothing was taken for damaged."""
    noted = Counter((folder / "journal").read_text().splitlines())
    assert max(noted.values()) == 1, noted.most_common(3)
    for curve in folder.glob("study/*/training.jsonl"):
        steps = [json.loads(line)["step"] for line in curve.read_text().splitlines()]
        assert steps == list(range(1, study.ROWS + 1))
    assert not [path.name for path in folder.rglob("*") if "damaged" in path.name or "corrupt" in path.name]
    left = [leftover.path for leftover in leftovers(folder / "study")]  # of a cell killed after its record
    assert all(path.parent in left for path in folder.rglob("*.ckpt"))
