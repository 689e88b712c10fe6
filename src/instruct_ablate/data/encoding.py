"""From text to token ids, exactly as the model reads them: special tokens, end of target, length limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from instruct_ablate.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Encoding:
    """A tokenizer as one kind of model uses it.

    Encoder-decoder: source + end (without it where `end_of_source` is off, as T0 reads), target + end.
    Decoder-only: source (with the start token if the tokenizer adds one), and target + end, which follows it.
    That is what Tk-Instruct and the Hugging Face trainers feed. Source and target are tokenised apart, so that
    training sees the same boundary as generation.
    """

    tokenizer: PreTrainedTokenizerBase
    encoder_decoder: bool
    end_of_source: bool = True
    end_of_target: int | None = None  # None: the tokenizer's end token

    @property
    def end(self) -> int:
        """The token that ends a target."""
        return self._end if self.end_of_target is None else self.end_of_target

    @property
    def ends(self) -> frozenset[int]:
        """The tokens after which nothing follows: a target's end, and the tokenizer's."""
        return frozenset((self.end, self._end))

    @property
    def _end(self) -> int:
        end = self.tokenizer.eos_token_id
        if not isinstance(end, int):
            raise UserError(
                f"the tokenizer of {self.tokenizer.name_or_path!r} has no end-of-text token (eos_token): a "
                "target could not be told to be over. Name one in its tokenizer_config.json."
            )
        return end

    def sources(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        """Return the ids of sources, each cut to `limit` tokens, special ones included."""
        encoded = self._ids(texts, special=True)
        if not self._closes:
            whole = encoded
        elif self.encoder_decoder and self.end_of_source:
            return [_cut(ids, limit, (self._end,)) for ids in encoded]
        else:  # T0's sources; and a decoder's, that could not be continued if they were over
            whole = [ids[:-1] for ids in encoded]
        return [_cut(ids, limit) or [self._start] for ids in whole]

    def targets(self, texts: Sequence[str], limit: int) -> tuple[list[list[int]], list[bool]]:
        """Return the ids of targets with their end token, and which were cut to `limit` tokens.

        A cut target keeps its first tokens and its end token.
        """
        end = self.end
        whole = [[*ids, end] for ids in self._ids(texts, special=False)]
        return [_cut(ids, limit, (end,)) for ids in whole], [len(ids) > limit for ids in whole]

    @property
    def _start(self) -> int:
        """The token that stands for an empty source."""
        start = self.tokenizer.bos_token_id
        return start if isinstance(start, int) else self._end

    def fingerprint(self) -> str:
        """Return a hash of all that decides which ids a text becomes."""
        backend: Any = getattr(self.tokenizer, "backend_tokenizer", None)
        rules = (
            backend.to_str()
            if backend is not None
            else json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        )
        parts: list[Any] = [self.tokenizer.eos_token_id, self.tokenizer.bos_token_id, self.encoder_decoder]
        # Added only where it is not the usual: what is tokenised already keeps its key.
        parts += [] if self.end_of_target in (None, self._end) else ["targets end with", self.end_of_target]
        parts += [] if self.end_of_source else ["sources without their end"]
        if not self.encoder_decoder and parts[0] is not None and parts[0] == parts[1]:
            parts.append("whole sources")  # OPT's once lost their last token
        special = json.dumps(parts)
        return hashlib.sha256((special + rules).encode()).hexdigest()

    def _ids(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Tokenise many texts at once."""
        if not texts:
            return []
        # Not verbose: it would warn of texts beyond the model's length, which are cut to the limit anyway.
        batch = self.tokenizer(
            list(texts), add_special_tokens=special, return_attention_mask=False, verbose=False
        )
        return batch["input_ids"]  # type: ignore[no-any-return]

    @cached_property
    def _closes(self) -> bool:
        """Whether the tokenizer ends every text with its end token (OPT's begins every text with it)."""
        return self._ids(["a"], special=True)[0][-1:] == [self.tokenizer.eos_token_id]


def _cut(ids: list[int], limit: int, closing: tuple[int, ...] = ()) -> list[int]:
    """Return at most `limit` ids, the last ones being `closing` where something was cut."""
    return ids if len(ids) <= limit else [*ids[: limit - len(closing)], *closing]
