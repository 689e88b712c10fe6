"""The kept checkpoint: read once, each cell's copy its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from instruct_ablate.model.loading import checkpoint as module
from instruct_ablate.model.loading import last_loaded
from instruct_ablate.model.loading.checkpoint import load_checkpoint
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.schema import ModelConfig
from tests.model.fits import same_bits, weights

LLAMA, T5 = (ModelConfig(name=name, source="random") for name in ("tiny_llama", "tiny_t5"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the models that were read, in order; the shelf is open."""
    names: list[str] = []
    real = module._load

    def counted(config: ModelConfig, dtype: torch.dtype, cache: Path) -> module.Checkpoint:
        names.append(f"{config.name} {dtype}")
        return real(config, dtype, cache)

    monkeypatch.setattr(module, "_load", counted)
    SHELF.open()
    yield names
    SHELF.close()


def test_read_once_and_what_a_cell_does_to_its_copy_stays_there(cache: Path, loads: list[str]) -> None:
    first = load_checkpoint(LLAMA, torch.float32, cache)
    before = weights(first)
    with torch.no_grad():
        for weight in first.model.parameters():
            weight.zero_()
    first.model.config.use_cache = False
    first.tokenizer.add_tokens(["brandnew"])
    second = load_checkpoint(LLAMA, torch.float32, cache)
    assert loads == ["tiny_llama torch.float32"]
    assert same_bits(weights(second), before)
    assert second.model.config.use_cache
    assert len(second.tokenizer) == len(first.tokenizer) - 1
    assert not second.model.training


def test_shared_weights_are_shared_in_a_copy_too(cache: Path, loads: list[str]) -> None:
    model = load_checkpoint(T5, torch.float32, cache).model
    shared = model.get_input_embeddings().weight
    assert shared is model.get_encoder().get_input_embeddings().weight
    assert len(list(model.parameters())) == len({id(weight) for weight in model.parameters()})


def test_one_is_kept_the_last(cache: Path, loads: list[str]) -> None:
    for config, dtype in (
        (LLAMA, torch.float32),
        (T5, torch.float32),
        (T5, torch.float32),
        (T5, torch.bfloat16),
        (LLAMA, torch.float32),
    ):
        loaded = load_checkpoint(config, dtype, cache)
        assert loaded.name == config.name
        assert next(loaded.model.parameters()).dtype == dtype
    assert [name.split()[0] for name in loads] == ["tiny_llama", "tiny_t5", "tiny_t5", "tiny_llama"]


def test_weights_that_changed_on_disk_are_read_again(cache: Path, loads: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    mine = ModelConfig(name="mine", path=str(folder))
    for seed in (1, 2):
        saved = load_checkpoint(LLAMA, torch.float32, cache)
        torch.manual_seed(seed)
        torch.nn.init.normal_(saved.model.get_input_embeddings().weight)
        saved.model.save_pretrained(folder)
        saved.tokenizer.save_pretrained(folder)
        again = load_checkpoint(mine, torch.float32, cache)
        assert same_bits(weights(again), weights(saved))


def test_closed_it_keeps_nothing(cache: Path, loads: list[str]) -> None:
    SHELF.close()
    load_checkpoint(LLAMA, torch.float32, cache)
    load_checkpoint(LLAMA, torch.float32, cache)
    assert len(loads) == 2


def test_a_large_model_is_read_again(cache: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    size = module._size(load_checkpoint(LLAMA, torch.float32, cache))
    monkeypatch.setattr(last_loaded, "ROOM", size - 1)
    before = load_checkpoint(LLAMA, torch.float32, cache)  # held since before
    SHELF.close()
    SHELF.open()
    again = [load_checkpoint(LLAMA, torch.float32, cache) for _ in range(2)]
    assert loads == ["tiny_llama torch.float32"] * 3
    assert all(same_bits(weights(one), weights(before)) for one in again)
