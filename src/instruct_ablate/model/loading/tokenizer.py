"""What prompts may ask of a tokenizer: counts, cuts and the chat template."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.loading.chat_format import ChatFormat, target_end
from instruct_ablate.schema import PromptConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from instruct_ablate.model.loading.checkpoint import Checkpoint

REMEMBERED = 4096  # texts whose ids are kept


class TokenizerTokens:
    """`Tokens` of a Hugging Face tokenizer.

    Counting and clipping follow Tk-Instruct's collator (Wang et al. 2022): lengths include the special
    tokens that the tokenizer adds (`end_of_source=False`: but for the closing one), and a text that is too long
    becomes the decoded first ids.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        end_of_source: bool = True,
        chat: ChatFormat | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._format = chat or ChatFormat(tokenizer)
        self._end = None if end_of_source else tokenizer.eos_token_id
        self._ids = lru_cache(REMEMBERED)(self._encode)

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, config: PromptConfig) -> TokenizerTokens:
        """Return what templates may ask of a tokenizer under a configuration."""
        return cls(tokenizer, config.ends_source, ChatFormat.of(tokenizer, config))

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, special tokens included as the model will add them."""
        return len(self._ids(text))

    def clip(self, text: str, limit: int) -> str:
        """Return the text of the first `limit` tokens, special tokens left out; a text that fits as it is."""
        ids = self._ids(text)
        if len(ids) <= limit:
            return text
        return str(self._tokenizer.decode(ids[:limit], skip_special_tokens=True))

    def chat(self, text: str) -> str:
        """Return `text` as the user's turn in the tokenizer's own chat template."""
        return self._format.prompt(text)

    def _encode(self, text: str) -> tuple[int, ...]:
        """Tokenise one text."""
        return tuple(
            self._open(self._tokenizer(text, return_attention_mask=False, verbose=False)["input_ids"])
        )

    def _open(self, ids: Sequence[int]) -> Sequence[int]:
        """Leave out the closing token that the model will not read."""
        return ids[:-1] if self._end is not None and ids[-1:] == [self._end] else ids


def encoding_of(checkpoint: Checkpoint, config: PromptConfig) -> Encoding:
    """Return how a checkpoint's texts become tokens under a configuration, for training and for answering alike."""
    end = target_end(checkpoint.tokenizer, config)
    return Encoding(checkpoint.tokenizer, checkpoint.encoder_decoder, config.ends_source, end)
