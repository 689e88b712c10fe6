from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.loading.checkpoint import load_tokenizer
from instruct_ablate.model.loading.tokenizer import TokenizerTokens, encoding_of
from instruct_ablate.schema import ModelConfig, PromptConfig

TEXT = "Definition: Is it true?\n\nInput: A week has seven days.\nOutput: "


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(ModelConfig(name="tiny_llama", source="random"), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(ModelConfig(name="tiny_t5", source="random"), tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("which", ["llama", "t5"])
def test_count_includes_special_tokens(which: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(which)
    tokens = TokenizerTokens(tokenizer)
    assert tokens.count(TEXT) == len(tokenizer(TEXT)["input_ids"])
    assert tokens.count(TEXT) == len(tokenizer(TEXT, add_special_tokens=False)["input_ids"]) + 1


@pytest.mark.parametrize("which", ["llama", "t5"])
@pytest.mark.parametrize("limit", [1, 3, 8])
def test_clip_decodes_the_first_tokens(which: str, limit: int, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(which)
    clipped = TokenizerTokens(tokenizer).clip(TEXT, limit)
    ids = tokenizer(TEXT)["input_ids"][:limit]
    assert clipped == tokenizer.decode(ids, skip_special_tokens=True)
    assert "<" not in clipped


def test_a_text_that_fits_stays_as_it_is(t5: Any) -> None:
    text = "two  spaces\nand a line"  # which decoding would fold
    assert TokenizerTokens(t5).clip(text, 100) == text


def test_a_text_is_tokenised_once(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = TokenizerTokens(llama)
    tokens.count(TEXT)
    monkeypatch.setattr(tokens, "_tokenizer", None)
    assert tokens.count(TEXT) > 10


def test_chat_is_the_tokenizers_own_template_without_a_second_start(llama: Any) -> None:
    tokens = TokenizerTokens(llama)
    assert tokens.chat("Hello") == "<|user|>\nHello\n<|assistant|>\n"
    starting = copy.deepcopy(llama)
    starting.chat_template = "{{ bos_token }}" + llama.chat_template
    assert TokenizerTokens(starting).chat("Hello") == tokens.chat("Hello")


def test_no_chat_template_is_said(t5: Any) -> None:
    with pytest.raises(UserError, match="has no chat template, which prompt=chat"):
        TokenizerTokens(t5).chat("Hello")


def test_what_a_configuration_says_of_chats_reaches_prompts_and_targets(llama: Any) -> None:
    given = PromptConfig("chat", system="Be brief.", end_of_turn=True)
    turned = copy.deepcopy(llama)
    turned.add_special_tokens({"additional_special_tokens": ["<turn>"]})
    turned.chat_template = "{% for m in messages %}{{ m.content }}<turn>{% endfor %}"
    assert TokenizerTokens.of(turned, given).chat("Hello") == "Be brief.<turn>Hello<turn>"
    checkpoint: Any = SimpleNamespace(tokenizer=turned, encoder_decoder=False)
    (ids,), _ = encoding_of(checkpoint, given).targets(["yes"], 10)
    assert turned.convert_ids_to_tokens(ids[-1]) == "<turn>"
    (plain,), _ = encoding_of(checkpoint, PromptConfig("chat")).targets(["yes"], 10)
    assert plain[-1] == turned.eos_token_id
