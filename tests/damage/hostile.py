"""Hostile studies: a small study changed at random by a seed, and every way of reading it.

A study ends *fine* (read as any other), *said* (a line tells what cannot be read and why), or in a fault: *wrong*,
*traceback*, *hang*, *written outside* or *code run*.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from instruct_ablate.archive.pack import pack
from instruct_ablate.cell.after.rescore import rescore_study
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.command_line import group
from instruct_ablate.disk.score_curve import FILE as POINTS
from instruct_ablate.disk.score_curve import Point, add_points
from instruct_ablate.errors import UserError
from instruct_ablate.grid.declaration import declare
from instruct_ablate.grid.history.looks import CHAIN, Decision, Look
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.show import read_cell
from instruct_ablate.schema import Config, InstructionConfig
from tests.damage import study
from tests.damage.mutants import change
from tests.standins import make_config

BUSY = 20  # seconds of processor time after which a command hangs
WAITING = 300  # seconds on the clock: on a busy machine one that does not hang takes long too
CLAIM = "simplified equals original on exact_match within 5"
CODE = "import pathlib\npathlib.Path({!r}).touch()\n"

SAID = re.compile(
    r"unreadable|left as it is \((?!is running)|cannot|not there|damaged|do not:"
    r"|not scored again: (?!\S+ is inter)"
)
WAYS: tuple[tuple[str, ...], ...] = (
    ("report", "{study}", "--output={out}/r", "--json", "--checklist"),
    ("status", "{study}", "--json"),
    ("compare", "{study}", "{other}"),
    ("compare", "{other}", "{study}", "--json"),
    ("show", "{cell}"),
    ("show", "{cell}", "--json", "--limit=0"),
    ("show", "--diff", "{cell}", "{other_cell}"),
    ("clean", "{study}", "--quarantined"),
    ("archive", "{study}", "{out}/a.tar.gz"),
    ("replay", "{archive}", "--output={out}/replayed"),
    ("replay", "{out}/a.tar.gz", "--output={out}/again", "--commands=show"),
    ("sync", "{study}", "--dry-run"),
    ("rescore", "{study}"),
)  # the last one writes; what stands before it only reads
OFTEN = {"report": 0.1, "replay": 0.03, "archive": 0.03}  # they take longest
LOOKED = ("status", "{study}")


def grid(folder: Path) -> list[Config]:
    return [
        make_config(folder, seed=seed, study="study", instruction=InstructionConfig(name), hypotheses=[CLAIM])
        for name in ("original", "simplified")
        for seed in (0, 2)
    ]


def make(folder: Path) -> None:
    """Make a study with every kind of file, another one beside it, an archive, and what nobody may touch."""
    study.make(folder / "lying")
    configs = grid(folder)
    identities = [identify(config) for config in configs]
    declare(folder / "study", identities, configs[0])
    for config, one in zip(configs, identities, strict=True):
        run_cell(config, study.stand_in)
        add_points(
            folder / "study" / one.name / POINTS,
            [Point(n, 8, "original", 8, "s", 1.0, (("exact_match", 50.0),)) for n in (4, 8)],
        )
    look = Look(
        seeds=(0, 2),
        done=2,
        hypotheses=(CLAIM,),
        reference="original",
        grid=tuple(one.hash[:16] for one in identities),
        cells=4,
        decisions=(Decision(CLAIM, "open", False),),
    )
    CHAIN.add(folder / "study", look)
    rescore_study(folder / "study")  # scores by instance, too
    (opened,) = (path.parent for path in (folder / "lying" / "study").glob("*-s1-*/record.json"))
    shutil.copytree(opened, folder / "study" / opened.name)
    shutil.copytree(folder / "study", folder / "other")
    pack(folder / "other", folder / "study.zip")
    shutil.rmtree(folder / "lying")
    (folder / "outside").mkdir()
    (folder / "outside" / "precious").write_text("as it was")
    (folder / "canary.py").write_text(CODE.format(str(folder / "ran")))
    (folder / "study" / "canary.py").write_text(CODE.format("ran"))


def outcome(pristine: Path, place: Path, seed: int, thorough: bool = False) -> tuple[str, str]:
    """Change a copy by this seed and read it; return how that ended, and the details of a fault."""
    draw = random.Random(seed)
    shutil.copytree(pristine, place)
    what = "; ".join(change(draw, place))
    some = WAYS if thorough else [way for way in WAYS if draw.random() < OFTEN.get(way[0], 0.12)]
    (place / "out").mkdir()
    outside, ends = snapshot(place), ["fine"]
    cells = sorted(path.name for path in (place / "study").iterdir() if path.is_dir()) or ["none"]
    names = {
        "study": place / "study", "other": place / "other", "out": place / "out", "archive": place / "study.zip",
        "cell": place / "study" / draw.choice(cells), "other_cell": place / "study" / draw.choice(cells),
    }  # fmt: skip
    for way in (LOOKED, *some):
        words = [word.format(**names) for word in way]
        end, detail = invoke(words)
        if end in ("traceback", "hang"):
            return end, f"{seed}: {what}: {' '.join(way)}: {detail}"
        ends.append(end)
    if snapshot(place) != outside:
        return "written outside", f"{seed}: {what}"
    if (pristine / "ran").exists() or Path("ran").exists():
        return "code run", f"{seed}: {what}"
    scored = any(name in what for name in ("record", "original.jsonl", "scores/"))
    if scored and (fault := wrong(place / "study")):
        return "wrong", f"{seed}: {what}: {fault}"
    return ("said" if "said" in ends else "fine"), what


def snapshot(place: Path) -> dict[str, object]:
    """What is there beside the study and what readers were told to write, and when it was written."""
    return {
        str(path.relative_to(place)): (path.lstat().st_mtime_ns, path.lstat().st_mode)
        for part in ("outside", "other", ".")
        for path in ((place / part).rglob("*") if part != "." else place.iterdir())
        if path.name not in ("study", "out") and not path.name.startswith("lock")
    }


def invoke(words: list[str]) -> tuple[str, str]:
    """Run a command in this process; *fine*, *said*, *traceback* or *hang*."""
    try:
        with alarm():
            result = CliRunner().invoke(group, words)
    except Hang as hang:
        return "hang", where(hang)
    error = result.exception
    if "\x1b" in result.output:
        return "traceback", "an escape reached the terminal"
    if isinstance(error, UserError):
        return ("said", str(error)) if "\n" not in str(error) else ("traceback", f"more than a line: {error}")
    if error is not None and not isinstance(error, SystemExit):
        return "traceback", where(error)
    return ("said" if SAID.search(result.output) else "fine"), ""


def where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if "instruct_ablate" in one.filename]
    return f"{type(error).__name__}: {str(error)[:200]} at " + " < ".join(
        f"{Path(one.filename).name}:{one.lineno}" for one in own[::-1][:4]
    )


class Hang(BaseException):
    """A command that has not ended."""


@contextmanager
def alarm() -> Iterator[None]:
    def rung(number: int, frame: object) -> None:
        raise Hang

    before = [(one, signal.signal(one, rung)) for one in (signal.SIGALRM, signal.SIGPROF)]
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    signal.setitimer(signal.ITIMER_PROF, BUSY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for one, handler in before:
            signal.signal(one, handler)


def wrong(folder: Path) -> str:
    """Score the predictions of every done cell again, by code of its own: where that says otherwise."""
    done = {cell.name: cell for cell in read_study(folder).cells if cell.state == "done"}
    for result in rescore_study(folder) if any(folder.glob("*/record.json")) else ():
        for block in done[result.name].blocks if result.name in done and not result.left else ():
            again = {one.instruction: one for one in read_cell(folder / result.name).blocks}[
                block.instruction
            ]
            said, value = (
                again.scores.overall.get("exact_match"),
                exact(folder / result.name / again.predictions),
            )
            if (said is None) != (value is None) or abs((said or 0) - (value or 0)) > 1e-6:
                return f"{result.name}: exact match {said}, and the predictions say {value}"
    return ""


def exact(path: Path) -> float | None:
    """Exact match over the rows of classification, in percent."""
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    rows = [row for row in rows if row["kind"] == "classification"]
    right = [bare(row["prediction"]) in map(bare, row["references"]) for row in rows]
    return 100 * sum(right) / len(right) if right else None


def bare(text: str) -> str:
    """Lower case, without ASCII punctuation, single blanks."""
    return re.sub(r"\s+", " ", re.sub(r"[!-/:-@\[-`{-~]", "", text.lower())).strip()
