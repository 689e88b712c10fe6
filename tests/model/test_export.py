"""Written checkpoints are read again, and a weight that is not the trained one is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model.export import base_folder, check_written, write_adapter, write_checkpoint
from instruct_ablate.model.loading.fingerprint import checkpoint_fingerprint
from instruct_ablate.model.loading.location import base_of, facts
from instruct_ablate.model.training.trainable import make_trainable, set_weights
from instruct_ablate.schema import Config, MethodConfig, ModelConfig
from tests.model.fits import load, make_config

RANDOM = ModelConfig("tiny_llama", source="random")


def test_a_changed_weight_is_noticed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    checkpoint = load(make_config(tmp_path / "cache"))
    capfd.readouterr()
    write_checkpoint(checkpoint, tmp_path / "model")
    assert capfd.readouterr().err == "", "no progress bar"
    check_written(checkpoint, RANDOM, tmp_path / "model", tmp_path / "cache")
    with torch.no_grad():
        checkpoint.model.model.norm.weight[0] += 1
    with pytest.raises(UserError, match="1 weights are not read again as they were trained"):
        check_written(checkpoint, RANDOM, tmp_path / "model", tmp_path / "cache")


def test_an_adapter_stands_on_its_base(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "adapter"
    checkpoint = load(make_config(cache))
    method = MethodConfig("lora", rank=2, target_modules=["q_proj"])
    model = make_trainable(checkpoint.model, Config(model=RANDOM, method=method))
    set_weights(model, [torch.ones_like(p) for p in model.parameters() if p.requires_grad])
    write_adapter(replace(checkpoint, model=model), RANDOM, folder, cache)
    given = ModelConfig("mine", path=str(folder))
    place = base_folder(folder)
    assert place is not None
    assert base_of(given).path == place
    assert facts(given) == facts(ModelConfig("base", path=place))
    before = checkpoint_fingerprint(given, cache)
    (Path(place) / "note.txt").write_text("another base")
    assert checkpoint_fingerprint(given, cache) != before
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)}))
    with pytest.raises(UserError, match="is an adapter itself"):
        facts(given)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="names no base_model_name_or_path"):
        facts(given)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no adapter_model.safetensors"):
        facts(given)


@pytest.mark.parametrize(
    ("target", "layers"), [("all_linear", "all"), ("attention", "all"), ("all_linear", "top:1")]
)
def test_dora_is_written_as_an_adapter_and_merged(target: str, layers: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    checkpoint = load(make_config(cache), torch.bfloat16)
    method = MethodConfig("lora", rank=2, dora=True, rslora=True, target=target, layers=layers)
    model = make_trainable(checkpoint.model, Config(model=RANDOM, method=method))
    torch.manual_seed(0)
    given = [p.detach() + 0.1 * torch.rand_like(p) for p in model.parameters() if p.requires_grad]
    set_weights(model, given)
    trained = replace(checkpoint, model=model)
    write_adapter(trained, RANDOM, tmp_path / "adapter", cache)
    write_checkpoint(trained, tmp_path / "merged")
    check_written(trained, RANDOM, tmp_path / "merged", cache)
    check_written(trained, RANDOM, tmp_path / "adapter", cache)


def test_an_adapter_names_its_base_s_revision_and_a_folder_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever loads it stands elsewhere, and a hub's model may have moved on."""
    monkeypatch.chdir(tmp_path)
    cache = Path("cache")
    checkpoint = load(make_config(cache))
    method = MethodConfig("lora", rank=2, target_modules=["q_proj"])
    model = make_trainable(checkpoint.model, Config(model=RANDOM, method=method))
    trained = replace(checkpoint, model=model)
    write_adapter(trained, RANDOM, Path("adapter"), cache)
    place = base_folder(Path("adapter"))
    assert place is not None
    assert Path(place).is_relative_to(tmp_path)
    assert Path(place).is_dir()
    write_adapter(trained, ModelConfig("m", path="org/m", revision="v2"), Path("other"), cache)
    said = json.loads(Path("other/adapter_config.json").read_text())
    assert (said["base_model_name_or_path"], said["revision"]) == ("org/m", "v2")
    assert base_folder(Path("other")) is None
