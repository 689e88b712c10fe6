"""The damage campaign: every file of a study and of a cache, damaged in every way, each in a process of its own.

`python -m tests.damage.campaign` prints its table. An outcome is *healed* (all cells end with the right scores and
predictions, what the cache gives is right), *refused* (a cell is left, in one line, the others are right), *wrong*,
*traceback* or *hang*.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from tests.damage import cache, study
from tests.damage.damages import DAMAGES, Subject

SUBJECTS = {"study": study.SUBJECT, "cache": cache.SUBJECT}
LIMIT = 200.0  # seconds after which a process hangs
NOBODY = 65534


def outcome(pristine: Path, name: str, damage: str, subject: Subject) -> str:
    """Damage one file of a copy, use the copy, and say what became of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "copy"
        shutil.copytree(pristine, folder, symlinks=True)
        _give_away(Path(place))
        path = folder / name
        before = path.read_bytes()
        DAMAGES[damage](path)
        subject.also(path)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _child(folder, subject, writing)
        os.close(writing)
        said = _wait(child, reading)
        precious = path.parent / "precious"
        if precious.exists() and precious.read_bytes() != before:
            return "wrong: it wrote through the link"
        return said


def prepare(folder: Path, subject: Subject) -> None:
    """Make it, and use it once: what is imported later could not be read by a user without rights."""
    subject.make(folder)
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(folder, Path(place) / "copy")
        assert subject.use(Path(place) / "copy") == "healed"


@contextmanager
def pristine(subject: Subject, folder: Path) -> Iterator[Path]:
    """Make it in a folder; the tests after these have their own inputs."""
    with pytest.MonkeyPatch.context() as patch:
        subject.replace(patch)
        prepare(folder, subject)
        yield folder


def _give_away(folder: Path) -> None:
    """Let the study belong to a user without rights: root would be refused nothing."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


def _child(folder: Path, subject: Subject, writing: int) -> None:
    said = "traceback: none"
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        said = subject.use(folder)
    except UserError as fault:
        said = f"refused: {fault}" if "\n" not in str(fault) else f"traceback: {fault}"
    except BaseException:
        last = traceback.extract_tb(sys.exc_info()[2])[-1]
        said = f"traceback: {traceback.format_exc(limit=0).strip()} ({last.filename}:{last.lineno})"
    finally:
        os.write(writing, said.encode()[:60_000])
        os._exit(0)


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


def main(*names: str) -> None:
    """Run it on these subjects (on all), and print the table."""
    table: dict[str, Counter[str]] = {}
    for one in names or SUBJECTS:
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as place:
            SUBJECTS[one].replace(patch)
            prepare(Path(place), SUBJECTS[one])
            for file, damage in itertools.product(list(SUBJECTS[one].files(Path(place))), DAMAGES):
                said = outcome(Path(place), file, damage, SUBJECTS[one])
                kind = said.partition(":")[0]
                table.setdefault(f"{one} {damage}", Counter())[kind] += 1
                if kind != "healed":
                    sys.stdout.write(f"{damage} {file}: {said}\n")
                    sys.stdout.flush()
    _print(table)


def _print(table: dict[str, Counter[str]]) -> None:
    kinds = ("healed", "refused", "wrong", "traceback", "hang")
    sys.stdout.write(f"{'':18}{'tried':>10}{''.join(f'{kind:>10}' for kind in kinds)}\n")
    for damage, count in (*table.items(), ("all", sum(table.values(), Counter()))):
        cells = "".join(f"{count[kind]:>10}" for kind in kinds)
        sys.stdout.write(f"{damage:18}{count.total():>10}{cells}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
