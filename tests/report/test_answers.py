"""Answers: a verdict's lines give numbers and what would decide."""

from __future__ import annotations

from instruct_ablate.report.answers import lines
from instruct_ablate.report.hypotheses import parse_hypothesis
from instruct_ablate.report.verdicts import judge
from tests.report.test_verdicts import study

CLAIM = parse_hypothesis("simplified equals original on exact_match within 2 points")


def test_a_supported_claim():
    first, second = lines(judge(study(0.1, 0.5), [CLAIM], "original"))
    assert first.startswith("✓ supported: simplified equals original")
    assert "tiny, budget 8: supported; exact_match +0." in second
    assert "3 seeds, 30 tasks" in second


def test_an_open_claim_says_what_would_decide():
    _, second = lines(judge(study(0.0, 20.0, seeds=1), [CLAIM], "original"))
    assert "undecided" in second
    assert "would be decided by" in second or "neither 200 seeds nor 5,000 test tasks" in second


def test_no_data():
    assert list(lines(judge([], [CLAIM], "original"))) == [f"- no data: {CLAIM.text}"]
