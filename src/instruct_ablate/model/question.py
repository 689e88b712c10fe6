"""Questions: distinct prompts as token ids. The same source is asked once, whatever the number of its prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instruct_ablate.prompt.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Question:
    """One source to answer, and the prompts that ask it; `choices` bind the answer, None leaves it free."""

    ids: tuple[int, ...]
    prompts: tuple[Prompt, ...]
    choices: tuple[str, ...] | None = None

    @property
    def task(self) -> str:
        """The task of the first prompt."""
        return self.prompts[0].task


def ask(prompts: Sequence[Prompt], tokenizer: Any, max_length: int, bound: bool) -> list[Question]:
    """Tokenise the distinct sources of `prompts`; `bound` tells apart what the choices tell apart."""
    asked: dict[tuple[str, tuple[str, ...] | None], list[Prompt]] = {}
    for prompt in prompts:
        asked.setdefault((prompt.source, prompt.choices if bound else None), []).append(prompt)
    ids = source_ids(tokenizer, [source for source, _ in asked], max_length)
    return [
        Question(tokens, tuple(same), choices)
        for tokens, ((_, choices), same) in zip(ids, asked.items(), strict=True)
    ]


def source_ids(tokenizer: Any, sources: Sequence[str], max_length: int) -> list[tuple[int, ...]]:
    """Return the sources' tokens as the model reads them: special tokens added, cut at `max_length`.

    A decoder-only model goes on from its source, so an end token that its tokenizer adds is taken off.
    """
    if not sources:
        return []
    encoded = tokenizer(list(sources), truncation=True, max_length=max_length)["input_ids"]
    return [tuple(ids) for ids in encoded]


def without_end(ids: tuple[int, ...], tokenizer: Any) -> tuple[int, ...]:
    """Take an end token off the end."""
    return ids[:-1] if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id else ids


def stop_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer: the tokenizer's end token and those of the generation config."""
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*listed, tokenizer.eos_token_id] if token is not None)
