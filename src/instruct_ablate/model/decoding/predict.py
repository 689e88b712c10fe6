"""Predictions of a checkpoint: prompts in, answers out, as they finish."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from instruct_ablate.limits import check_limits
from instruct_ablate.model.decoding import engine_native, engine_vllm
from instruct_ablate.model.decoding.answers.references import TokenScores
from instruct_ablate.model.decoding.question import Question, ask
from instruct_ablate.model.decoding.settings import LIMITS
from instruct_ablate.model.loading.tokenizer import encoding_of
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.schema import Config, PromptConfig

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint

Key = tuple[str, str]  # task, instance id
THOUGHT = "</think>"  # as Qwen3, SmolLM3 and others end their thinking
ANSWER = {"native": engine_native.answer, "vllm": engine_vllm.answer}


def predict(
    checkpoint: Checkpoint,
    prompts: Sequence[Prompt],
    config: Config,
    finished: Collection[Key] = frozenset(),
    likelihoods: bool = False,
    notes: list[str] | None = None,
) -> Iterator[Prediction]:
    """Yield a prediction for each prompt, in any order, as they finish.

    Best give all prompts of the score block, and in `finished` (task, instance id) those already written: they
    are not yielded again, and the others are decoded in the same company as without interruption (the last
    bits of a row depend on its company, so that `evaluation.batch_tokens` counts in a cell's identity). The order in
    which tasks are given changes no company: they are asked in that of their names. With `likelihoods` the model is
    asked how likely the references are, too; that changes no answer. `notes` takes what was met, once all are answered.
    """
    check_limits("evaluation", config.evaluation, LIMITS)

    def is_finished(question: Question) -> bool:
        return all((prompt.task, prompt.instance_id) in finished for prompt in question.prompts)

    encoding = encoding_of(checkpoint, config.prompt)
    prompts = sorted(prompts, key=lambda prompt: prompt.task)
    questions = ask(prompts, encoding, config, likelihoods)
    worth: dict[Key, dict[str, float]] = {}
    for question, text, scores, cut in ANSWER[config.evaluation.engine](
        checkpoint, questions, config, is_finished, notes
    ):
        for prompt in question.prompts:
            if (prompt.task, prompt.instance_id) in finished:
                continue
            if question.label is None:
                yield question.prediction(prompt, _answer(text, config.prompt), scores, cut)
            elif label := _chosen(prompt, question.label, scores, worth):
                yield Prediction(prompt, label)


def _answer(text: str, config: PromptConfig) -> str:
    """Return what follows the thinking, where a model was asked to think; all of it where that has no end."""
    return text.rpartition(THOUGHT)[2].strip() if config.enable_thinking else text


def _chosen(
    prompt: Prompt, label: str, scores: TokenScores | None, worth: dict[Key, dict[str, float]]
) -> str | None:
    """Note what a label of the channel form is worth; once all are known, return the best, of equal ones the first."""
    assert scores is not None
    known = worth.setdefault((prompt.task, prompt.instance_id), {})
    known[label] = math.fsum(scores[0])
    every = tuple(dict.fromkeys(prompt.choices or ()))
    return max(every, key=known.__getitem__) if len(known) == len(every) else None
