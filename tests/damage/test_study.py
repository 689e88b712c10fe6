"""Every file of a study, damaged in every way: mended, or one cell refused in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.damage import campaign, study
from tests.damage.damages import DAMAGES

QUICKLY = replace(study.SUBJECT, use=partial(study.used, looks=("status", "rescore")))
OFTEN = ("truncated", "garbage", "link", "pipe")
FILES = (
    "study.json",
    "done/record.json",
    "done/predictions/original.jsonl",
    "open/record.json",
    "open/predictions/original.jsonl.partial-1",
    "open/checkpoints/step-00000008.ckpt",
    ".study.json.lock",
    "done/config.yaml",
    "done/identity.json",
    "done/lock-1",
    "done/log.txt",
    "done/queue.json",
    "done/training.jsonl",
    "open/checkpoints/step-00000007.ckpt",
    "open/config.yaml",
    "open/heartbeat",
    "open/identity.json",
    "open/lock-1",
    "open/log.txt",
    "open/queue.json",
    "open/training.jsonl",
    "stated.jsonl",
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with campaign.pristine(QUICKLY, tmp_path_factory.mktemp("pristine")) as folder:
        yield folder


def named(pristine: Path, file: str) -> str:
    """The file's name in this study."""
    cells = {path.parent.name for path in pristine.glob("study/*/config.yaml")}
    seeds = {"done": next(c for c in cells if "-s0-" in c), "open": next(c for c in cells if "-s1-" in c)}
    first, _, rest = file.partition("/")
    return f"study/{seeds[first]}/{rest}" if first in seeds else f"study/{file}"


def test_no_file_is_left_out(pristine: Path) -> None:
    done = {name for name in study.files(pristine) if "s0" in name and "checkpoints" in name}
    assert {named(pristine, file) for file in FILES} == set(study.files(pristine)) - done


CASES = [
    pytest.param(file, damage, marks=() if file in FILES[:5] and damage in OFTEN else pytest.mark.slow)
    for file in FILES
    for damage in DAMAGES
]


@pytest.mark.parametrize(("file", "damage"), CASES)
def test_it_is_mended_or_refused(pristine: Path, file: str, damage: str) -> None:
    said = campaign.outcome(pristine, named(pristine, file), damage, QUICKLY)
    assert said == "healed" or said.startswith("refused: "), said
