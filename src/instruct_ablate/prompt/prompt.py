"""The prompt, the waist of the system: all that the model side knows of tasks passes through here as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from instruct_ablate.tasks.task import Kind, WordRule


@dataclass(frozen=True, slots=True)
class Channel:
    """A prompt turned round (Min et al. 2022): a source for each choice, and the input behind them."""

    sources: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """Source text and references of one instance.

    `target` is the supervised output in training (one of the references, drawn by the seed).
    `choices` are the outputs a constrained or ranking decoder may give; None where anything may be said.
    `truncated` tells that the source was cut at `prompt.max_source_length` tokens, `dropped_examples` how
    many examples were left out because they had no room there. `word_rule` is the task's; None where only its
    references tell (predictions written by an earlier version). `alternatives` are the sources among which training
    draws, each epoch anew; none where it is always `source`. `channel` is there where a label is chosen by how likely
    it makes the input; `source` then shows where each label stands. `task_outputs` are the references and labels of
    the whole task, where answers are bounded by the longest of them; None where they are not.
    """

    task: str
    category: str
    kind: Kind
    instance_id: str
    source: str
    references: tuple[str, ...]
    target: str
    choices: tuple[str, ...] | None = None
    truncated: bool = False
    dropped_examples: int = 0
    word_rule: WordRule | None = None
    alternatives: tuple[str, ...] = ()
    channel: Channel | None = None
    task_outputs: tuple[str, ...] | None = None


def is_bound(prompt: Prompt, decoding: str) -> bool:
    """Whether the answer under `evaluation.decoding` is chosen among the prompt's labels; else it is written."""
    return decoding != "greedy" and bool(prompt.choices)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What a model holds of one reference behind its prompt: raw numbers, from which metrics that read it are made.

    `log_probability` is the natural logarithm, summed over `tokens`: those of a training target, its end included.
    `bytes` are those of the text that the tokens stand for (UTF-8), in which the end has none.
    """

    log_probability: float
    tokens: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a system answered to a prompt; `likelihoods` are those of its references, where a metric reads them.

    `cut`: the answer had come to its greatest length, and the model might have gone on.
    """

    prompt: Prompt
    text: str
    likelihoods: tuple[Likelihood, ...] | None = None
    cut: bool = False


class Tokens(Protocol):
    """What a template may ask of a tokenizer: lengths and cuts, nothing else."""

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, special tokens included as the model will add them."""

    def clip(self, text: str, limit: int) -> str:
        """Return the text of the first `limit` tokens, special tokens left out."""

    def chat(self, text: str) -> str:
        """Return `text` as the user's turn in the tokenizer's own chat template."""


Template = Callable[..., str]
