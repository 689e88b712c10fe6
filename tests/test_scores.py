from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from instruct_ablate.scores import InstanceScore, Score


def test_scores_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        InstanceScore(1.0, 1.0, 1.0).exact_match = 0.0  # type: ignore[misc]


def test_generation_has_neither_format_nor_guess() -> None:
    score = Score("task", 1, 0.0, 0.0, 0.0)
    assert (score.format_correctness, score.uniform_guess) == (None, None)


def test_reading_scores_imports_no_rouge_and_no_torch() -> None:
    heavy = "('torch', 'nltk', 'numpy')"
    code = f"import sys, instruct_ablate.metrics; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
