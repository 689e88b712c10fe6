"""Shared fixtures: small tasks made by hand, and the development data beside the repository where present."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import absl.logging
import hypothesis
import pytest

# One thread a process: tests run side by side, and threads that wait for each other's cores are many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from instruct_ablate.tasks.task import Example, Instance, Task

# What the configuration takes from whoever runs the tests: cells of P3 are others where it names what is tested.
for _name in ("NATURAL_INSTRUCTIONS", "P3_ROOT", "P3_TEST_SPLIT"):
    os.environ.pop(_name, None)

# The same examples everywhere; INSTRUCT_ABLATE_EXPLORE=1 draws others, to look for what nobody thought of.
hypothesis.settings.register_profile(
    "same", deadline=None, derandomize=not os.environ.get("INSTRUCT_ABLATE_EXPLORE")
)
hypothesis.settings.load_profile("same")

# absl (imported by rouge-score) closes what was the standard error when it was imported, each time Hydra sets
# up logging: here that would be the file in which pytest captures.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


_TOP = Path(__file__).resolve().parents[1]
_PASSING = {"wandb", "outputs", "build", "dist"}  # git ignores them, and so do we


def _listed() -> set[str]:
    return {path.name for path in _TOP.iterdir() if not path.name.startswith(".")} - _PASSING


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_in_the_repository() -> Iterator[None]:
    """What a test writes goes below its `tmp_path`."""
    before = _listed()
    yield
    assert _listed() <= before, "a test has written into the repository"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden cases beside the repository; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "natural-instructions").is_dir():
        pytest.skip("the development data (../shared) is not here")
    return folder


def make_task(name: str = "task1_sentiment", count: int = 6, **changes: object) -> Task:
    """A small classification task, two labels, with positive and negative examples."""
    labels = ("positive", "negative")
    words = ("great", "awful")
    fields: dict[str, object] = {
        "name": name,
        "definition": "Read the review. Answer 'positive' if the writer liked it, otherwise 'negative'.",
        "instances": tuple(
            Instance(f"{name}-{i}", f"The film number {i} was {words[i % 2]}.", (labels[i % 2],))
            for i in range(count)
        ),
        "positive_examples": (
            Example("A lovely evening.", "positive", "Lovely is praise."),
            Example("I want my money back.", "negative", "A complaint."),
        ),
        "negative_examples": (
            Example("A wonderful cast.", "negative", "Wonderful is praise, so this is wrong."),
            Example("It bored me to tears.", "positive", "Boredom is no praise."),
        ),
        "categories": ("Sentiment Analysis",),
        "label_space": labels,
    }
    return Task(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def task() -> Task:
    """One small classification task."""
    return make_task()
