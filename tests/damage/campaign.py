"""The damage campaign: every file of a study, damaged in every way, each in a process of its own.

`python -m tests.damage.campaign` prints its table. An outcome is *healed* (all cells end with the right scores and
predictions), *refused* (a cell is left, in one line, the others are right), *wrong*, *traceback* or *hang*.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.errors import UserError
from tests.damage import study
from tests.damage.damages import DAMAGES
from tests.standins import replace_inputs

LIMIT = 60.0  # seconds after which a process hangs
NOBODY = 65534


def outcome(pristine: Path, name: str, damage: str, looks: tuple[str, ...] = tuple(study.LOOKS)) -> str:
    """Damage one file of a copy, use the study, and say what became of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "copy"
        shutil.copytree(pristine, folder, symlinks=True)
        _give_away(Path(place))
        path = folder / "study" / name
        before = path.read_bytes()
        DAMAGES[damage](path)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _child(folder, looks, writing)
        os.close(writing)
        said = _wait(child, reading)
        precious = path.parent / "precious"
        if precious.exists() and precious.read_bytes() != before:
            return "wrong: it wrote through the link"
        return said


def prepare(folder: Path, looks: tuple[str, ...] = tuple(study.LOOKS)) -> None:
    """Make the study, and use it once: what is imported later could not be read by a user without rights."""
    study.make(folder)
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(folder, Path(place) / "copy")
        _used(Path(place) / "copy", looks)


def _give_away(folder: Path) -> None:
    """Let the study belong to a user without rights: root would be refused nothing."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


def _child(folder: Path, looks: tuple[str, ...], writing: int) -> None:
    said = "traceback: none"
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if os.geteuid() == 0:
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
        said = _used(folder, looks)
    except BaseException:
        last = traceback.extract_tb(sys.exc_info()[2])[-1]
        said = f"traceback: {traceback.format_exc(limit=0).strip()} ({last.filename}:{last.lineno})"
    finally:
        os.write(writing, said.encode()[:60_000])
        os._exit(0)


def _used(folder: Path, looks: tuple[str, ...]) -> str:
    """Look at the study, finish its cells, look again."""
    for look in looks:
        study.LOOKS[look](folder)
    ends = [_end(folder, seed) for seed in (study.DONE, study.OPEN)]
    study.look(folder)
    return next((end for end in ends if not end.startswith("healed")), "healed")


def _end(folder: Path, seed: int) -> str:
    try:
        record = study.finish(folder, seed)
        if record.state != "done":
            reason = record.failure.reason if record.failure else record.state
            return f"refused: {reason}" if "\n" not in reason else f"traceback: {reason}"
        return "healed" if study.right(folder, record, expected()) else "wrong"
    except UserError as fault:
        return f"refused: {fault}" if "\n" not in str(fault) else f"traceback: {fault}"


@cache
def expected() -> CellRecord:
    """The record of an undisturbed cell."""
    with tempfile.TemporaryDirectory() as place:
        return study.finish(Path(place), study.DONE)


def _wait(child: int, reading: int) -> str:
    end = time.monotonic() + LIMIT
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            return "hang"
        time.sleep(0.005)
    with os.fdopen(reading, "rb") as file:
        return file.read().decode()


def main(*looks: str) -> None:
    """Run all of it, looking in these ways (all there are), and print the table."""
    looks = looks or tuple(study.LOOKS)
    replace_inputs(pytest.MonkeyPatch())
    with tempfile.TemporaryDirectory() as place:
        pristine = Path(place)
        prepare(pristine, looks)
        table: dict[str, Counter[str]] = {}
        for name in study.files(pristine):
            for damage in DAMAGES:
                said = outcome(pristine, name, damage, looks)
                kind = said.partition(":")[0]
                table.setdefault(damage, Counter())[kind] += 1
                if kind != "healed":
                    sys.stdout.write(f"{damage} {name}: {said}\n")
                    sys.stdout.flush()
        kinds = ("healed", "refused", "wrong", "traceback", "hang")
        sys.stdout.write(f"{'':12}{'tried':>10}{''.join(f'{kind:>10}' for kind in kinds)}\n")
        for damage, count in (*table.items(), ("all", sum(table.values(), Counter()))):
            cells = "".join(f"{count[kind]:>10}" for kind in kinds)
            sys.stdout.write(f"{damage:12}{count.total():>10}{cells}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
