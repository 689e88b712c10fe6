from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from instruct_ablate.disk.prepared import MANIFEST
from instruct_ablate.errors import UserError
from instruct_ablate.model.loading import random_model
from instruct_ablate.model.loading.random_model import RECIPE, tiny_fingerprint, tiny_model
from instruct_ablate.model.loading.tiny_families import FAMILIES


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_made_twice_every_byte_is_the_same(name: str, cache: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = tiny_model(name, cache)
    torch.manual_seed(2)
    other = tiny_model(name, tmp_path)
    names = sorted(path.name for path in one.iterdir() if path.name != MANIFEST)  # it has times
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    for file in names:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5_v1_1"])
def test_making_one_leaves_the_random_numbers_alone(name: str, tmp_path: Path) -> None:
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    tiny_model(name, tmp_path)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_small_and_of_one_size(name: str, cache: Path) -> None:
    folder = tiny_model(name, cache)
    words = json.loads((folder / "config.json").read_text())["vocab_size"]
    assert 256 <= words <= 2048
    assert (folder / "model.safetensors").stat().st_size < 2**21
    assert not (folder / "modeling.py").exists()


def test_tokenizers_behave_like_their_models(cache: Path) -> None:
    from transformers import AutoTokenizer

    llama = AutoTokenizer.from_pretrained(tiny_model("tiny_llama", cache))
    text = "Définition: {yes}\n\n 不 or no?"
    ids = llama(text)["input_ids"]
    assert ids[0] == llama.bos_token_id
    assert llama.decode(ids, skip_special_tokens=True) == text  # bytes lose nothing
    t5 = AutoTokenizer.from_pretrained(tiny_model("tiny_t5", cache))
    ids = t5("Is it\n\n true?  ")["input_ids"]
    assert ids[-1] == t5.eos_token_id
    assert t5.decode(ids, skip_special_tokens=True) == "Is it true?"  # folds white space, as T5's


def test_a_second_call_makes_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model("tiny_llama", cache)
    monkeypatch.setattr(random_model, "_make", lambda *_: pytest.fail("made again"))
    assert tiny_model("tiny_llama", cache) == folder


def test_unknown_name_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'tiny_lama'.*did you mean 'tiny_llama'"):
        tiny_model("tiny_lama", tmp_path)


def test_fingerprints_differ() -> None:
    assert tiny_fingerprint("tiny_llama") != tiny_fingerprint("tiny_t5")


def test_tiny_models_are_of_these_sizes(cache: Path) -> None:
    """Scores of tests and examples hang on them: another size is another recipe, which raises RECIPE."""

    def sizes(name: str, *keys: str) -> list[object]:
        config = json.loads((tiny_model(name, cache) / "config.json").read_text())
        return [config[key] for key in keys]

    llama = (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
    )
    assert sizes("tiny_llama", *llama) == [64, 128, 2, 4, 2]
    assert sizes("tiny_llama", "max_position_embeddings", "tie_word_embeddings") == [4096, True]
    t5 = ("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "feed_forward_proj")
    assert sizes("tiny_t5", *t5) == [64, 16, 128, 2, 2, 4, "gated-gelu"]
    assert sizes("tiny_t5", "scale_decoder_outputs", "decoder_start_token_id", "pad_token_id") == [
        False,
        0,
        0,
    ]
    assert (RECIPE, tiny_fingerprint("tiny_t5")) == (2, "tiny_t5:2")
    assert tiny_model("tiny_llama", cache) == cache / "models" / "tiny_llama-2"


def test_their_tokenizers_are_small_and_know_their_special_tokens(cache: Path) -> None:
    from transformers import AutoTokenizer

    llama, t5 = (AutoTokenizer.from_pretrained(tiny_model(name, cache)) for name in ("tiny_llama", "tiny_t5"))
    assert (llama.unk_token_id, llama.bos_token_id, llama.eos_token_id) == (0, 1, 2)
    assert (t5.pad_token_id, t5.eos_token_id, t5.unk_token_id) == (0, 1, 2)
    assert max(len(llama), len(t5)) <= 1024
    assert llama("a")["input_ids"][1:] == llama("a", add_special_tokens=False)["input_ids"]
    assert llama("word").input_ids[1] != llama(" word").input_ids[1], "no space is put in front"
    assert t5.decode(t5("ａ ﬁ").input_ids, skip_special_tokens=True) == "a fi", "NFKC"
    assert llama.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    ) == ("<|user|>\nHi\n<|assistant|>\n")


def test_what_the_tokenizers_make_of_text_before_they_cut_it(cache: Path) -> None:
    def part(name: str, key: str) -> dict[str, object]:
        return json.loads((tiny_model(name, cache) / "tokenizer.json").read_text())[key]

    normalizers = part("tiny_t5", "normalizer")["normalizers"]
    assert [one["type"] for one in normalizers] == ["NFKC", "Replace", "Strip"]
    assert (normalizers[2]["strip_left"], normalizers[2]["strip_right"]) == (False, True)
    assert part("tiny_t5", "pre_tokenizer")["type"] == "Metaspace"
    assert part("tiny_llama", "normalizer") is None
    bytes_ = part("tiny_llama", "pre_tokenizer")
    assert (bytes_["type"], bytes_["add_prefix_space"]) == ("ByteLevel", False)
