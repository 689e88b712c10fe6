"""Tokens before a sweep: the model's own tokenizer where it is at hand, characters else."""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.grid.token_counts import Characters, counted_by, token_counts
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.schema import ModelConfig
from tests.standins import make_config


def test_characters_stand_for_tokens() -> None:
    tokens = Characters()
    assert (tokens.count(""), tokens.count("abcd"), tokens.count("abcde")) == (0, 1, 2)
    assert tokens.count_target("abcd") == 2
    assert tokens.clip("abcdefghij", 2) == "abcdefgh"
    assert tokens.chat("as it is") == "as it is"


def test_the_tokenizer_counts_once_it_is_there(tmp_path: Path) -> None:
    config = make_config(tmp_path, model=ModelConfig("tiny_llama", source="random"))
    assert counted_by(config) is None
    assert not token_counts(config)[1]
    assert not (Path(config.cache) / "models").exists()  # nothing is made for a plan
    folder = tiny_model("tiny_llama", Path(config.cache))
    assert counted_by(config) == folder / "tokenizer.json"
    tokens, counted = token_counts(config)
    assert counted
    assert tokens.count("unbelievable antidisestablishmentarianism") != Characters().count(
        "unbelievable antidisestablishmentarianism"
    )


def test_a_file_that_is_no_tokenizer_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / "model" / name).write_text("{}")
    config = make_config(tmp_path, model=ModelConfig("own", path=str(tmp_path / "model")))
    assert isinstance(token_counts(config)[0], Characters)
    assert not token_counts(config)[1]
