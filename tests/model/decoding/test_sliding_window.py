"""Decoding through windows and capped scores: the tokens and likelihoods of transformers' own forward pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.decoding import engine_native, engine_transformers
from instruct_ablate.model.decoding.layers.attention import Run, Share
from instruct_ablate.model.decoding.question import ask
from instruct_ablate.model.loading.checkpoint import Checkpoint
from tests.left_out import left_out
from tests.model.decoding_cases import LABELS, make_config, make_prompts
from tests.model.windows import KINDS, WINDOW, make_windowed

QUICK = ("gemma3", "gemma2", "mistral", "qwen3")


@pytest.fixture(
    scope="module",
    params=[kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_windowed(request.param, tmp_path_factory.getbasetemp() / "cache")


def answers(engine: Any, checkpoint: Checkpoint, decoding: str, batch_tokens: int = 200) -> dict[str, Any]:
    """Each instance's answer and its references' token scores; some prompts are shorter than the window."""
    prompts = make_prompts(1, 7, LABELS if decoding != "greedy" else None)
    short = [
        replace(one, instance_id=f"s{one.instance_id}", source=f"{one.instance_id}:") for one in prompts[:2]
    ]
    asked = [replace(one, references=("yes", "maybe the river", "yes it is")) for one in [*prompts, *short]]
    config = make_config(decoding, batch_tokens)
    questions = ask(asked, Encoding(checkpoint.tokenizer, False), config, likelihoods=True)
    lengths = [len(question.ids) for question in questions]
    assert min(lengths) < WINDOW < 3 * WINDOW < max(lengths)
    given = engine.answer(checkpoint, questions, config, lambda question: False)
    return {question.prompts[0].instance_id: (text, scores) for question, text, scores, _ in given}


@pytest.mark.parametrize("decoding", ["greedy", "rank"])
def test_answers_and_likelihoods_are_those_of_transformers(
    decoding: str, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = answers(engine_transformers, checkpoint, decoding)
    monkeypatch.setattr(engine_native, "engine_transformers", None)  # nothing falls back to it
    for batch_tokens in (60, 2000):
        found = answers(engine_native, checkpoint, decoding, batch_tokens)
        assert {name: text for name, (text, _) in found.items()} == {
            name: text for name, (text, _) in wanted.items()
        }
        for name, (_, scores) in found.items():
            for row, other in zip(scores, wanted[name][1], strict=True):
                assert row == pytest.approx(other, rel=1e-4, abs=1e-4)
    assert len({text for text, _ in wanted.values()}) > 1


def test_what_is_left_out() -> None:
    assert left_out(Run) == left_out(Share) == {}
