"""Hostile studies, drawn from fixed seeds: read as they stand, or told of in one line; never a wrong score.

`INSTRUCT_ABLATE_STUDIES` says how many the long one reads, `INSTRUCT_ABLATE_STUDIES_FROM` from which seed on (with
`-s` the counts are printed).
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.damage import hostile
from tests.standins import replace_inputs

STUDIES = int(os.environ.get("INSTRUCT_ABLATE_STUDIES", "60"))
START = int(os.environ.get("INSTRUCT_ABLATE_STUDIES_FROM", "1000"))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        replace_inputs(patch)
        patch.setattr("instruct_ablate.report.report.draw_figures", lambda *_: ())  # seconds each
        folder = tmp_path_factory.mktemp("hostile") / "pristine"
        hostile.make(folder)
        yield folder


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("instruct_ablate.report.report.draw_figures", lambda *_: ())
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # nobody pulls a plug here
    monkeypatch.chdir(tmp_path)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def read_all(pristine: Path, seeds: range, folder: Path) -> Counter[str]:
    """Read the studies of these seeds; return how many ended how."""
    ends: Counter[str] = Counter()
    faults = []
    for number, seed in enumerate(seeds, 1):
        end, detail = hostile.outcome(pristine, folder / str(seed), seed)
        ends[end] += 1
        if end not in ("fine", "said"):
            faults.append(f"{end} {detail}")
            sys.stdout.write(f"{faults[-1]}\n")
        shutil.rmtree(folder / str(seed))
        if number % 50 == 0 or number == len(seeds):
            sys.stdout.write(f"{number} hostile studies: {dict(ends)}\n")
            sys.stdout.flush()
    assert not faults, "\n".join(faults)
    return ends


def test_some_hostile_studies_are_read_or_told_of(pristine: Path, tmp_path: Path) -> None:
    ends = read_all(pristine, range(12), tmp_path)
    assert ends["fine"]
    assert ends["said"]


@pytest.mark.slow
def test_many_hostile_studies(pristine: Path, tmp_path: Path) -> None:
    ends = read_all(pristine, range(START, START + STUDIES), tmp_path)
    assert ends["fine"]
    assert ends["said"]


def test_what_the_campaign_would_find(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instruct_ablate.metrics.built_in.normalised", lambda text: "")
    assert "and the predictions say" in hostile.wrong(shutil.copytree(pristine / "study", tmp_path / "study"))
