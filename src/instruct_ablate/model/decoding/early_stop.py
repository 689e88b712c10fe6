"""Answers that can no longer be right: where it is known before the end that exact match is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instruct_ablate.model.decoding.greedy import EarlyStop
from instruct_ablate.model.decoding.question import Question
from instruct_ablate.normalisation import normalised


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
