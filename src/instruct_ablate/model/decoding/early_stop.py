"""Answers that end early: with their line, at their task's bound, or once it is known that exact match is lost."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Any

from instruct_ablate.model.decoding.greedy import EarlyStop
from instruct_ablate.model.decoding.question import Question
from instruct_ablate.normalisation import normalised
from instruct_ablate.schema import EvaluationConfig

_BREAK = re.compile(r"[\n\r]")


def answer_text(text: str, config: EvaluationConfig) -> str:
    """Return an answer as it counts: without white space around it; under `evaluation.stop=line` its first line."""
    text = text.strip()
    return _BREAK.split(text, 1)[0].rstrip() if config.stop == "line" else text


def early_stop(questions: Sequence[Question], tokenizer: Any, config: EvaluationConfig) -> EarlyStop | None:
    """Return the test of whether an answer has ended before its end token; None where only that ends it."""
    tests: list[EarlyStop] = []
    if len({question.limit for question in questions}) > 1:  # else the batch's own limit ends them all
        tests.append(lambda row, tokens: len(tokens) >= questions[row].most)
    if config.stop == "line":
        tests.append(lambda row, tokens: _has_line(tokenizer.decode(tokens, skip_special_tokens=True)))
    if config.cut_wrong_answers:
        tests.append(stop_when_lost(questions, tokenizer))
    return (lambda row, tokens: any(test(row, tokens) for test in tests)) if tests else None


def text_written(
    question: Question,
    tokens: Sequence[int],
    stops: Collection[int],
    tokenizer: Any,
    config: EvaluationConfig,
) -> tuple[str, bool]:
    """Return the answer that decoding step by step would have written, of tokens that an engine wrote to their end.

    Beside it, whether it is cut (`is_cut`).

    It ends before a stop token and at its greatest length; under `evaluation.cut_wrong_answers` nothing follows the
    token by which exact match is lost.
    """
    ended = before_end(question, tokens, stops)
    if config.cut_wrong_answers:
        lost = stop_when_lost([question], tokenizer)
        ends = (count for count in range(1, len(ended)) if lost(0, ended[:count]))
        ended = ended[: next(ends, len(ended))]
    text = str(tokenizer.decode(ended, skip_special_tokens=True))
    return answer_text(text, config), is_cut(question, ended, text, config)


def before_end(question: Question, tokens: Sequence[int], stops: Collection[int]) -> list[int]:
    """Return the tokens of an answer before its end token, at its greatest length at most."""
    return list(takewhile(lambda token: token not in stops, tokens[: question.most]))


def is_cut(question: Question, tokens: Sequence[int], text: str, config: EvaluationConfig) -> bool:
    """Whether an answer of these tokens, its end token left out, ended at its greatest length and by nothing else."""
    return len(tokens) >= question.most and not (config.stop == "line" and _has_line(text))


def _has_line(text: str) -> bool:
    """Whether a line that holds something has ended."""
    return _BREAK.search(text.lstrip()) is not None


def is_lost(text: str, rights: tuple[str, ...]) -> bool:
    """Whether no continuation of `text` equals any of `rights`, after normalisation.

    Normalising deletes and joins but never reorders, so that what is written so far, normalised, is a beginning
    of the whole; an unfinished last character is left out.
    """
    said = normalised(text.rstrip("\ufffd"))
    return not any(normalised(right).startswith(said) for right in rights)


def stop_when_lost(questions: Sequence[Question], tokenizer: Any) -> EarlyStop:
    """Return the test for `evaluation.cut_wrong_answers`: classification alone, by references and choices.

    Exact match and format correctness stay what they are; ROUGE is that of the answer as cut.
    """

    def test(row: int, tokens: list[int]) -> bool:
        prompts = questions[row].prompts
        if any(prompt.kind != "classification" for prompt in prompts):
            return False
        rights = tuple(right for prompt in prompts for right in (*prompt.references, *(prompt.choices or ())))
        return is_lost(tokenizer.decode(tokens, skip_special_tokens=True), rights)

    return test
