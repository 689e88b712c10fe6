"""Sizes counted without weights are those of the models themselves."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig

from instruct_ablate.configuration import presets
from instruct_ablate.configuration.presets import PRESETS
from instruct_ablate.model.adapters import reads_text
from instruct_ablate.model.loading import parameter_count
from instruct_ablate.model.loading.checkpoint import load_checkpoint
from instruct_ablate.model.loading.parameter_count import (
    METHODS,
    counts_to_ship,
    parameters,
    trainable_parameters,
)
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.model.loading.tiny_families import FAMILIES
from instruct_ablate.model.training.lora import adapt
from instruct_ablate.schema import MethodConfig, ModelConfig

FULL = MethodConfig("full")
MAKE = (
    "make it again: instruct-ablate models --counts > src/instruct_ablate/model/loading/parameter_counts.json"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def counted(model: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def exact(config: ModelConfig, method: MethodConfig | None, cache: Path) -> int | None:
    """Count by torch, whatever is noted."""
    count = parameter_count._counted(config, method, cache)
    return None if count is None else parameter_count._total(count, method)


@pytest.mark.parametrize("name", FAMILIES)
def test_full_training_counts_every_weight(name: str, cache: Path) -> None:
    config = ModelConfig(name, source="random")
    model = load_checkpoint(config, torch.float32, cache).model
    assert parameters(config, cache) == counted(model)
    read = sum(weight.numel() for weight in reads_text(model).values())
    assert trainable_parameters(config, FULL, cache) == read


@pytest.mark.parametrize("name", FAMILIES)
def test_what_the_package_ships_of_tiny_models_is_what_torch_counts(name: str, cache: Path) -> None:
    config = ModelConfig(name, source="random")
    for method in METHODS:
        key = parameter_count._key(config, method, cache)
        assert key in parameter_count._shipped(), MAKE
        assert trainable(config, method, cache) == exact(config, method, cache), MAKE


@pytest.mark.slow
def test_what_the_package_ships_is_what_torch_counts(cache: Path) -> None:
    assert counts_to_ship(cache) == parameter_count._shipped(), MAKE


def trainable(config: ModelConfig, method: MethodConfig | None, cache: Path) -> int | None:
    return parameters(config, cache) if method is None else trainable_parameters(config, method, cache)


def fetched(name: str, folder: Path) -> ModelConfig:
    """A preset's configuration as transformers writes it, without its weights."""
    preset = PRESETS[name]
    AutoConfig.for_model(preset.family, **copy.deepcopy(dict(preset.shape))).save_pretrained(folder)
    return ModelConfig(name, path=str(folder))


@pytest.mark.parametrize("name", [name for name, one in PRESETS.items() if one.family != "t5gemma2"])
def test_a_fetched_preset_is_known_by_its_configuration(name: str, cache: Path, tmp_path: Path) -> None:
    config = fetched(name, tmp_path)
    assert {parameter_count._key(config, one, cache) for one in METHODS} <= {*parameter_count._shipped()}, (
        MAKE
    )
    assert (trainable_parameters(config, FULL, tmp_path / "cache") or 0) > 10**7
    assert not (tmp_path / "cache").exists(), "it was not counted"


NAMES = ["smollm2_135m_base", "flan_t5_small", "qwen3_0_6b_base", "olmo2_1b", "gemma3_1b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_another_shape_is_counted_itself(name: str, cache: Path, tmp_path: Path) -> None:
    config = fetched(name, tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    changes: list[dict[str, Any]] = [{"one_key_more": 1}, {"quantization_config": {}}]
    sizes = {key for key, value in PRESETS[name].shape.items() if type(value) is int} - {"sliding_window"}
    changes += [{key: raw[key] + 1} for key in sizes]
    changes += [{key: not raw[key]} for key in ("attention_bias", "is_gated_act") if key in raw]
    if PRESETS[name].family == "t5":
        changes += [
            {"relative_attention_num_buckets": 16},
            {"num_decoder_layers": 3},
            {"scale_decoder_outputs": True},
        ]
    else:
        changes += [{"tie_word_embeddings": not raw["tie_word_embeddings"]}, {"head_dim": 32}]
    for change in changes:
        (tmp_path / "config.json").write_text(json.dumps({**raw, **change}))
        assert parameter_count._key(config, FULL, cache) not in parameter_count._shipped(), change
    (tmp_path / "config.json").write_text(json.dumps({**raw, "rope_theta": 7.0, "architectures": ["Mine"]}))
    assert parameter_count._key(config, FULL, cache) in parameter_count._shipped()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_taken_for_a_presets_is_as_torch_counts_it(name: str, cache: Path, tmp_path: Path) -> None:
    config = fetched(name, tmp_path)
    for method in METHODS:
        assert trainable(config, method, cache) == exact(config, method, cache)


def test_what_the_package_names_is_counted_without_torch_in_a_new_cache(tmp_path: Path) -> None:
    fetched("flan_t5_small", tmp_path / "t5")
    program = (
        "import sys; from pathlib import Path; from instruct_ablate.schema import MethodConfig, ModelConfig; "
        "from instruct_ablate.model.loading.parameter_count import *; "
        "configs = (ModelConfig('tiny_llama', source='random'), ModelConfig('t5', path=sys.argv[1] + '/t5')); "
        "print([trainable_parameters(one, MethodConfig(name, rank=3), Path(sys.argv[1])) "
        "for one in configs for name in ('full', 'lora')], parameters(configs[1], Path(sys.argv[1])), "
        "'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "[139584,"
    assert done.stdout.split()[2] == "76961152,", "with the output layer of its own"
    assert done.stdout.split()[-3:] == ["76961152", "False", "False"]


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("parameter_count.version", lambda _: "5.0.0"),
        ("parameter_count.COUNTED", 0),
        ("random_model.RECIPE", 0),
        ("random_model._text", lambda: ["another text"]),
        ("random_model.version", lambda _: "0.0.1"),
        ("random_model.FAMILIES", {**FAMILIES, "tiny_llama": FAMILIES["tiny_llama3"]}),
    ],
)
def test_a_shipped_count_of_something_else_is_not_met(
    changed: str, value: object, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig("tiny_llama", source="random")
    keys = [parameter_count._key(config, method, cache) for method in METHODS]
    assert {*keys} <= {*parameter_count._shipped()}
    assert len({*keys}) == len(METHODS)
    monkeypatch.setattr(f"instruct_ablate.model.loading.{changed}", value)
    others = {parameter_count._key(config, method, cache) for method in METHODS}
    if changed.endswith("FAMILIES"):
        assert not others & {*keys}
    else:
        assert not others & {*parameter_count._shipped()}


def test_a_t5s_own_output_layer_is_known_by_its_weights(cache: Path, tmp_path: Path) -> None:
    for name, own in (("tiny_t5_v1_1", True), ("tiny_umt5", True), ("tiny_t5", False), ("tiny_mt5", False)):
        made = tiny_model(name, cache)
        model = load_checkpoint(ModelConfig(name, source="random"), torch.float32, cache).model
        mine = ModelConfig("mine", path=str(made))
        assert trainable_parameters(mine, FULL, cache) == counted(model)
        assert parameter_count._own_head(made) is own
        alone = tmp_path / name  # its weights are not here: as its configuration says
        alone.mkdir()
        (alone / "config.json").write_bytes((made / "config.json").read_bytes())
        raw = json.loads((made / "config.json").read_text())
        assert parameter_count._own_head(alone) is (raw.get("scale_decoder_outputs") is False)
    tied = tmp_path / "tied"  # both are there, and equal: transformers makes one of them
    model = load_checkpoint(ModelConfig("tiny_t5_v1_1", source="random"), torch.float32, cache).model
    weights = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    weights["lm_head.weight"] = weights["shared.weight"].clone()
    shutil.copytree(tiny_model("tiny_t5_v1_1", cache), tied)
    save_file(weights, tied / "model.safetensors", {"format": "pt"})
    mine = ModelConfig("mine", path=str(tied))
    read = load_checkpoint(mine, torch.float32, cache).model
    assert trainable_parameters(mine, FULL, cache) == counted(read) < counted(model)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("tiny_mistral", ["lm_head"]),
        ("tiny_llama", ["embed_tokens", "q_proj"]),
        ("tiny_llama", ["model.layers.0.self_attn.q_proj"]),
        ("tiny_t5_v1_1", ["lm_head", "q"]),
        ("tiny_t5", ["embed_tokens"]),
    ],
)
def test_layers_that_are_named_are_counted_whatever_they_are(
    name: str, targets: list[str], dora: bool, cache: Path
) -> None:
    config = ModelConfig(name, source="random")
    method = MethodConfig("lora", rank=3, target_modules=targets, dora=dora)
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, method, seed=0)
    assert trainable_parameters(config, method, cache) == counted(adapted)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5"])
@pytest.mark.parametrize("rank", [2, 16])
def test_lora_counts_its_pairs_of_matrices(name: str, rank: int, cache: Path) -> None:
    config, method = ModelConfig(name, source="random"), MethodConfig("lora", rank=rank)
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, method, seed=0)
    assert trainable_parameters(config, method, cache) == counted(adapted)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5", "tiny_t5gemma2"])
@pytest.mark.parametrize(
    "more",
    [
        {"dora": True},
        {"target": "attention"},
        {"target": "attention", "dora": True},
        {"layers": "top:1"},
        {"layers": "top:2", "dora": True},
        {"layers": "top:1", "target": "attention"},
    ],
)
def test_what_else_adapters_train_is_counted(name: str, more: dict[str, Any], cache: Path) -> None:
    config, method = ModelConfig(name, source="random"), MethodConfig("lora", rank=2, **more)
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, method, seed=0)
    assert trainable_parameters(config, method, cache) == counted(adapted)


def test_no_adapter_stands_where_only_pictures_pass(cache: Path) -> None:
    config, method = ModelConfig("tiny_t5gemma2", source="random"), MethodConfig("lora", rank=2)
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, method, seed=0)
    trained = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert not [name for name in trained if "vision" in name]
    assert [name for name in trained if "encoder.text_model.layers.2.mlp" in name]
    assert trainable_parameters(config, method, cache) == counted(adapted)


def test_layers_that_keep_inputs_first_are_counted(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    model.config.save_pretrained(tmp_path)
    method = MethodConfig("lora", rank=3, dora=True)
    config = ModelConfig("mine", path=str(tmp_path))
    assert trainable_parameters(config, method, tmp_path) == counted(adapt(model, method, seed=0))


def test_lora_on_some_layers_alone(cache: Path) -> None:
    config = ModelConfig("tiny_llama", source="random")
    some = MethodConfig("lora", target_modules=["q_proj", "v_proj"])
    adapted = adapt(load_checkpoint(config, torch.float32, cache).model, some, seed=0)
    assert trainable_parameters(config, some, cache) == counted(adapted)
    every = trainable_parameters(config, MethodConfig("lora"), cache)
    assert every is not None
    assert every > counted(adapted)


def test_a_folder_of_ones_own_needs_no_weights(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_model("tiny_llama", cache) / "config.json").read_bytes())
    mine = ModelConfig("mine", path=str(tmp_path))
    built_in = ModelConfig("tiny_llama", source="random")
    assert trainable_parameters(mine, FULL, cache) == trainable_parameters(built_in, FULL, cache)


def test_what_cannot_be_read_is_of_unknown_size(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert trainable_parameters(ModelConfig("smollm2_135m", source="wheel"), FULL, tmp_path) is None
    assert trainable_parameters(ModelConfig("mine", path=str(tmp_path)), FULL, cache) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard_of"}))
    assert trainable_parameters(ModelConfig("mine", path=str(tmp_path)), FULL, cache) is None


def test_a_count_is_noted_and_belongs_to_its_configuration(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    told = (tiny_model("tiny_llama", cache) / "config.json").read_text()
    (folder / "config.json").write_text(told)
    config = ModelConfig("own", source="pretrained", path=str(folder))
    first = trainable_parameters(config, FULL, tmp_path)
    lora = trainable_parameters(config, MethodConfig("lora"), tmp_path)
    monkeypatch.setattr("instruct_ablate.model.loading.parameter_count._counted", lambda *_: None)
    assert first != lora
    assert trainable_parameters(config, FULL, tmp_path) == first
    assert trainable_parameters(config, MethodConfig("lora"), tmp_path) == lora
    assert trainable_parameters(config, MethodConfig("lora", rank=32), tmp_path) == 2 * (lora or 0), (
        "any rank"
    )
    assert trainable_parameters(config, MethodConfig("lora", target="attention"), tmp_path) is None
    (folder / "config.json").write_text(told.replace("{", '{"vocab_size": 999,', 1))
    assert trainable_parameters(config, FULL, tmp_path) is None


def small(family: str) -> dict[str, Any]:
    """The smallest preset of a family, of two layers."""
    shape = next(one.shape for one in PRESETS.values() if one.family == family)
    layers = {key: 2 for key in ("num_layers", "num_decoder_layers", "num_hidden_layers") if key in shape}
    return copy.deepcopy({**shape, **layers})


def another(value: Any) -> Any:
    """Another value of the same type; None for what is no plain value."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value / 2 + 0.1  # a share stays one
    return (
        "relu"
        if isinstance(value, str) and value in ("gelu", "silu", "gelu_pytorch_tanh", "gelu_new")
        else None
    )


@pytest.mark.parametrize("family", sorted({one.family for one in PRESETS.values()} - {"t5gemma2"}))
def test_keys_held_to_say_nothing_of_a_size_say_nothing(family: str) -> None:
    """The list is made by hand; what transformers writes and it lacks fails above, and what it has too much here."""
    made = AutoConfig.for_model(family, **small(family))
    plain = parameter_count._of_shape(made, None, own_head=False)
    tried = []
    for key, value in made.to_dict().items():
        other = another(value)
        if key not in presets._SIZELESS or other is None:
            continue
        try:
            changed = AutoConfig.for_model(family, **{**small(family), key: other})
        except Exception:  # a value that the family refuses is in no configuration of its models
            continue
        assert parameter_count._of_shape(changed, None, own_head=False) == plain, key
        tried.append(key)
    assert len(tried) >= 8, tried


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_a_key_of_a_size_on_that_list_would_be_noticed(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "relative_attention_num_buckets" if family == "t5" else "intermediate_size"
    monkeypatch.setattr(presets, "_SIZELESS", presets._SIZELESS | {wrong})
    with pytest.raises(AssertionError, match=wrong):
        test_keys_held_to_say_nothing_of_a_size_say_nothing(family)
