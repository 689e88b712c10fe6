"""Examples whose tokens are mapped when they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.data.examples import Examples
from instruct_ablate.data.store import TokenStore, stored_tokens, token_key
from instruct_ablate.model.loading.checkpoint import Checkpoint
from instruct_ablate.model.loading.tokenizer import encoding_of
from instruct_ablate.schema import PromptConfig

from .conftest import make_prompts


def test_nothing_is_opened_to_count_them() -> None:
    assert len(Examples(7, lambda: pytest.fail("opened"))) == 7


def test_tokens_are_found_by_key_and_made_where_they_are_not(llama: Checkpoint, tmp_path: Path) -> None:
    prompts, config = make_prompts(), PromptConfig("plain")
    encoding = encoding_of(llama, config)
    key = token_key(prompts, encoding, config)
    asked: list[int] = []

    def opened(count: int = len(prompts)) -> TokenStore:
        def given() -> list:
            asked.append(1)
            return prompts

        return stored_tokens(key, count, given, encoding, config, tmp_path)

    first, second = Examples(21, opened).open(), Examples(21, opened).open()
    assert asked == [1]
    assert first.sources[20].tolist() == second.sources[20].tolist()
    with pytest.raises(RuntimeError, match="holds 21 prompts, 20 were asked for"):
        opened(20)
