"""ROUGE of Tk-Instruct's multilingual track: texts cut by GPT-2's tokenizer, neither lower-cased nor stemmed.

On request, as `evaluation.metrics=[rougeL_gpt2]`. The tokenizer is not shipped: it is read from the file tokenizer.json
that the variable GPT2_TOKENIZER names, or a folder with it, else from the hub (`gpt2`) or its cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path

from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.metrics.registry import metric

VARIABLE = "GPT2_TOKENIZER"
HUB = "gpt2"
VOCABULARY = 50257
SPACE = "\u0120"  # how GPT-2's tokens write the space before a word


@cache
def _tokenizer(place: str | None) -> Callable[[str], tuple[str, ...]]:
    """Return GPT-2's tokenizer, from a file or folder, else from the hub."""
    from tokenizers import Tokenizer

    path = Path(place or HUB).expanduser()
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        loaded = Tokenizer.from_file(str(file)) if place else Tokenizer.from_pretrained(HUB)
    except Exception as error:  # the library raises bare exceptions, and those of the hub's client
        raise UserError(
            f"rouge of GPT-2's tokens: its tokenizer cannot be read from {place or 'the hub'} ({in_a_line(error)}): "
            f"set {VARIABLE} to its tokenizer.json."
        ) from error
    # Another tokenizer in its place would give numbers that look like the protocol's.
    if loaded.get_vocab_size() != VOCABULARY:
        raise UserError(
            f"{VARIABLE}={place}: {loaded.get_vocab_size()} tokens, GPT-2's tokenizer has {VOCABULARY}."
        )
    return lambda text: tuple(loaded.encode(text, add_special_tokens=False).tokens)


def check_tokenizer() -> None:
    """Refuse to begin without the tokenizer."""
    _tokenizer(os.environ.get(VARIABLE))


@lru_cache(maxsize=2**15)
def tokens(text: str) -> tuple[str, ...]:
    """Cut a text as Tk-Instruct does: a token without the space before it."""
    return tuple(token.lstrip(SPACE) for token in _tokenizer(os.environ.get(VARIABLE))(text))


def _best(prediction: str, references: Sequence[str]) -> tuple[float, float]:
    """Return the best ROUGE-1 and the best ROUGE-L over the references, each by itself."""
    from instruct_ablate.metrics.rouge import overlap, words_of

    said = words_of(tokens(prediction))
    scores = [overlap(said, words_of(tokens(reference))) for reference in dict.fromkeys(references)]
    return max(one for one, _ in scores), max(longest for _, longest in scores)


@metric("rouge1_gpt2", "ROUGE-1\n(GPT-2)", check=check_tokenizer)
def rouge1_gpt2(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-1 of GPT-2's tokens, the best over the references."""
    return _best(prediction, references)[0]


@metric("rougeL_gpt2", "ROUGE-L\n(GPT-2)", check=check_tokenizer)
def rouge_l_gpt2(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L of GPT-2's tokens, the best over the references."""
    return _best(prediction, references)[1]
