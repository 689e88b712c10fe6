"""Tiny families: each has all of its kinds of layers, a file that names it, and reads as it was written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from instruct_ablate.model.loading.checkpoint import Checkpoint, check_checkpoint, load_checkpoint
from instruct_ablate.model.loading.tiny_families import FAMILIES, FULL, SLIDING, WINDOW
from instruct_ablate.schema import ModelConfig

CONF = Path(__file__).parents[3] / "conf" / "model"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "cache"


def load(name: str, cache: Path) -> Checkpoint:
    return load_checkpoint(ModelConfig(name=name, source="random"), torch.float32, cache)


def test_each_has_a_file_of_its_name() -> None:
    random = {path.stem for path in CONF.glob("tiny_*.yaml")}
    assert random == set(FAMILIES)
    for name in FAMILIES:
        assert yaml.safe_load((CONF / f"{name}.yaml").read_text()) == {"name": name, "source": "random"}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_kind_and_the_positions_are_those_of_the_model(name: str, cache: Path) -> None:
    checkpoint, family = load(name, cache), FAMILIES[name]
    assert check_checkpoint(ModelConfig(name=name, source="random")) == family.kind
    assert checkpoint.encoder_decoder == bool(checkpoint.model.config.is_encoder_decoder)
    settings = checkpoint.model.config.get_text_config(decoder=True)
    limits = [getattr(settings, key, None) for key in ("max_position_embeddings", "n_positions")]
    assert next((limit for limit in limits if limit), None) == family.positions


@pytest.mark.parametrize("name", ["tiny_gemma3", "tiny_olmo3"])
def test_both_kinds_of_attention_occur(name: str, cache: Path) -> None:
    settings = load(name, cache).model.config
    assert set(settings.layer_types) == {FULL, SLIDING}
    assert settings.sliding_window == WINDOW


def test_layers_that_make_a_family(cache: Path) -> None:
    assert load("tiny_smollm3", cache).model.config.no_rope_layers == [1, 1, 1, 0], (
        "the fourth has no positions"
    )
    assert load("tiny_mistral", cache).model.config.sliding_window == WINDOW
    assert load("tiny_llama3", cache).model.config.rope_parameters["rope_type"] == "llama3"
    phi = load("tiny_phi4", cache).model
    assert phi.config.rope_parameters["partial_rotary_factor"] == 0.75
    assert any(name.endswith("qkv_proj") for name, _ in phi.named_modules())
    umt5 = load("tiny_umt5", cache).model.get_encoder()
    assert all(block.layer[0].SelfAttention.has_relative_attention_bias for block in umt5.block)
    assert any("q_norm" in name for name, _ in load("tiny_qwen3", cache).model.named_modules())


@pytest.mark.parametrize(
    ("name", "tied"),
    [("tiny_t5_v1_0", True), ("tiny_t5_v1_1", False), ("tiny_umt5", False), ("tiny_mt5", True)],
)
def test_what_is_untied_stays_so_when_it_is_read(name: str, tied: bool, cache: Path) -> None:
    model = load(name, cache).model
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
    # by which the decoder's states are scaled; mT5's never are
    assert getattr(model.config, "scale_decoder_outputs", False) == (name == "tiny_t5_v1_0")


@pytest.mark.parametrize(
    ("name", "start"),
    [("tiny_t5", "<pad>"), ("tiny_t5gemma2", "<s>"), ("tiny_bart", "</s>"), ("tiny_opt", None)],
)
def test_what_decoders_start_with(name: str, start: str | None, cache: Path) -> None:
    checkpoint = load(name, cache)
    number = checkpoint.start_token
    assert (number is None) == (start is None)
    assert start is None or checkpoint.tokenizer.convert_ids_to_tokens(number) == start


def test_a_start_token_that_no_configuration_names_is_the_tokenizers(cache: Path, tmp_path: Path) -> None:
    """As T5Gemma 2's files on the hub, which leave it to its class."""
    load("tiny_t5gemma2", cache)
    folder = tmp_path / "t5gemma2"
    shutil.copytree(cache / "models" / "tiny_t5gemma2-2", folder)
    for name in ("config.json", "generation_config.json"):
        raw = json.loads((folder / name).read_text())
        raw.pop("decoder_start_token_id", None)
        (folder / name).write_text(json.dumps(raw))
    checkpoint = load_checkpoint(ModelConfig("mine", path=str(folder)), torch.float32, cache)
    assert checkpoint.start_token == checkpoint.tokenizer.bos_token_id
