from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.model.loading import checkpoint as checkpoint_module
from instruct_ablate.model.loading.checkpoint import (
    ALIGNED,
    Checkpoint,
    _options,
    load_checkpoint,
    load_tokenizer,
    place_of,
)
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.schema import ModelConfig


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(cache: Path, tmp_path: Path) -> Path:
    """A copy of a good model folder, for the test to spoil."""
    return Path(shutil.copytree(tiny_model("tiny_llama", cache), tmp_path / "model"))


def local(folder: Path, **changes: Any) -> ModelConfig:
    return ModelConfig(name="mine", path=str(folder), **changes)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(("name", "both"), [("tiny_llama", False), ("tiny_t5", True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loads_both_kinds_in_the_type_asked_for(
    name: str, both: bool, dtype: torch.dtype, cache: Path
) -> None:
    checkpoint = load_checkpoint(ModelConfig(name=name, source="random"), dtype, cache)
    assert checkpoint.encoder_decoder is both
    assert checkpoint.name == name
    assert {weight.dtype for weight in checkpoint.model.parameters()} == {dtype}
    assert not checkpoint.model.training
    assert checkpoint.start_token == (0 if both else None)
    assert {weight.data_ptr() % ALIGNED for weight in checkpoint.model.parameters()} == {0}


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5"])
def test_a_local_folder_is_the_same_as_the_built_in(name: str, cache: Path, tmp_path: Path) -> None:
    built_in = load_checkpoint(ModelConfig(name=name, source="random"), torch.float32, cache)
    copy = shutil.copytree(tiny_model(name, cache), tmp_path / "copy")
    loaded = load_checkpoint(local(copy), torch.float32, cache)
    assert loaded.encoder_decoder is built_in.encoder_decoder
    for one, other in zip(built_in.model.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_saved_and_loaded_again(cache: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(ModelConfig(name="tiny_t5", source="random"), torch.float32, cache)
    checkpoint.model.save_pretrained(tmp_path)
    checkpoint.tokenizer.save_pretrained(tmp_path)
    assert load_checkpoint(local(tmp_path), torch.float32, cache).start_token == checkpoint.start_token


def test_a_tokenizer_without_padding_pads_with_its_end(cache: Path) -> None:
    checkpoint = load_checkpoint(ModelConfig(name="tiny_llama", source="random"), torch.float32, cache)
    assert checkpoint.tokenizer.pad_token_id == checkpoint.tokenizer.eos_token_id
    assert checkpoint.model.config.pad_token_id == checkpoint.tokenizer.eos_token_id


def test_a_tokenizer_without_end_token_is_refused(folder: Path, cache: Path) -> None:
    edit(folder / "tokenizer_config.json", eos_token=None)
    with pytest.raises(UserError, match="no end-of-text token"):
        load_tokenizer(local(folder), cache)


def test_loading_says_nothing(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_checkpoint(ModelConfig(name="tiny_t5", source="random"), torch.float32, cache)
    assert capfd.readouterr() == ("", "")


def test_a_model_without_tokenizer(folder: Path, cache: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="holds no tokenizer"):
        load_checkpoint(local(folder), torch.float32, cache)


@pytest.mark.parametrize(("file", "what"), [("tokenizer.json", "tokenizer"), ("config.json", "model")])
def test_a_broken_file_is_one_message(folder: Path, cache: Path, file: str, what: str) -> None:
    if file == "config.json":
        edit(folder / file, hidden_size="wide")
    else:
        (folder / file).write_text("{}")
    with pytest.raises(UserError, match=rf"model=mine: its ({what}|tokenizer) cannot be loaded from .*model"):
        load_checkpoint(local(folder), torch.float32, cache)


def test_weights_of_another_shape_are_refused(folder: Path, cache: Path) -> None:
    edit(folder / "config.json", hidden_size=32)
    with pytest.raises(UserError, match="cannot be loaded"):
        load_checkpoint(local(folder), torch.float32, cache)


def test_weights_that_lack_some_are_refused(folder: Path, cache: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(UserError, match=r"lacks 9 of the model's weights.*would be random"):
        load_checkpoint(local(folder), torch.float32, cache)


def test_a_tokenizer_of_another_model_is_refused(folder: Path, cache: Path, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = json.loads((folder / "config.json").read_text())
    LlamaForCausalLM(LlamaConfig(**{**settings, "vocab_size": 500})).save_pretrained(folder)
    with pytest.raises(UserError, match="1024 tokens, the model only 500"):
        load_checkpoint(local(folder), torch.float32, cache)


def test_code_of_its_own_is_not_run(folder: Path, cache: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(trace)!r}, 'w')\n")
    edit(folder / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(UserError, match="trust_remote_code=true"):
        load_checkpoint(local(folder), torch.float32, cache)
    assert not trace.exists()


def test_a_process_of_one_cell_reads_every_checkpoint_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, read = ModelConfig(name="tiny_llama", source="random"), list[Any]()

    def load(*given: Any) -> Checkpoint:
        read.append(given)
        return Checkpoint(torch.nn.Linear(1, 1), None, False, str(len(read)))

    monkeypatch.setattr(checkpoint_module, "_load", load)
    for number in ("1", "2"):
        assert load_checkpoint(config, torch.float32, cache).name == number
    SHELF.open()
    try:
        assert [load_checkpoint(config, torch.float32, cache).name for _ in range(2)] == ["3", "3"]
    finally:
        SHELF.close()


def test_a_stop_while_loading_is_no_fault_of_the_model(
    cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell told to stop there is interrupted, and goes on later; it has not failed."""
    from transformers import AutoTokenizer

    def stopped(*args: Any, **kwargs: Any) -> None:
        raise Interrupted("told to stop")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", stopped)
    with pytest.raises(Interrupted):
        load_tokenizer(local(folder), cache)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (ModelConfig("m", path="org/m"), {"trust_remote_code": False}),
        (ModelConfig("m", path="org/m", revision="v1"), {"trust_remote_code": False, "revision": "v1"}),
        (ModelConfig("m", path="org/m", trust_remote_code=True), {"trust_remote_code": True}),
        (ModelConfig("m", source="random", trust_remote_code=True, revision="v1"), {}),
    ],
)
def test_what_every_loading_call_is_given(config: ModelConfig, options: dict[str, object]) -> None:
    assert _options(config) == options


def test_a_hub_id_is_loaded_by_its_name_and_a_folder_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert place_of(ModelConfig("m", path="org/m"), tmp_path) == "org/m"
    assert place_of(ModelConfig("m", path=str(tmp_path)), tmp_path) == str(tmp_path)
