"""A tokenizer's own file, read without transformers: what a plan counts tokens with, in milliseconds and offline."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.disk.whole_files import read_plain
from instruct_ablate.model.loading.location import local_folder
from instruct_ablate.model.loading.random_model import tiny_folder
from instruct_ablate.schema import ModelConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
REMEMBERED = 4096  # texts whose ids are kept


class FileTokens:
    """`Tokens` of a tokenizer.json, lengths as a model of this kind reads them (`data.encoding`).

    A decoder's source has no closing token. What a chat template puts around a prompt is not counted.
    """

    def __init__(self, tokenizer: Tokenizer, closes: bool) -> None:
        self._tokenizer = tokenizer
        mask = tokenizer.encode("a").special_tokens_mask
        self._dropped = 1 if mask[-1:] == [1] and not closes else 0
        self._ids = lru_cache(REMEMBERED)(self._encode)

    def count(self, text: str) -> int:
        """Return the number of tokens of a source, the special ones that are read with it included."""
        return len(self._ids(text))

    def count_target(self, text: str) -> int:
        """Return the number of tokens of a target, with the one that ends it."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids) + 1

    def clip(self, text: str, limit: int) -> str:
        """Return the text of the first `limit` tokens, special tokens left out."""
        ids = self._ids(text)
        return text if len(ids) <= limit else str(self._tokenizer.decode(list(ids[:limit])))

    def chat(self, text: str) -> str:
        """Return the text as it is: a template is rendered by transformers alone."""
        return text

    def _encode(self, text: str) -> tuple[int, ...]:
        ids = self._tokenizer.encode(text).ids
        return tuple(ids[: len(ids) - self._dropped])


def tokenizer_file(config: ModelConfig, cache: Path) -> Path | None:
    """Return the tokenizer.json of a checkpoint where it lies on this machine; nothing is fetched or made for it."""
    if config.source == "baseline":
        return None
    if config.source == "pretrained":
        folder = local_folder(config) or _fetched(config)
    else:
        folder = (
            tiny_folder(config.name, cache) if config.source == "random" else cache / "models" / config.name
        )
    return folder / FILE if folder is not None and (folder / FILE).is_file() else None


@lru_cache(maxsize=8)
def tokens_of_file(path: Path, ends_source: bool) -> FileTokens | None:
    """Read a tokenizer.json, with the kind of model that its config.json names; None where it cannot be read."""
    from tokenizers import Tokenizer

    try:
        raw = json.loads(read_plain(path.with_name("config.json")))
        tokenizer = Tokenizer.from_file(str(path))
    except Exception:  # the library has no kind of its own for a file that it cannot read
        return None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoder_decoder = isinstance(raw, dict) and raw.get("is_encoder_decoder") is True
    return FileTokens(tokenizer, closes=encoder_decoder and ends_source)


def _fetched(config: ModelConfig) -> Path | None:
    """Return the folder of a hub id in the hub's own cache, where its tokenizer is there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(str(config.path), FILE, revision=config.revision)
    return Path(found).parent if isinstance(found, str) else None
