"""How large a model is, counted without loading a weight; of what the package names, without torch too.

Counts follow from a model's shape, the method and the version of transformers. What was counted is noted in the cache
under all of these; for the tiny models and the presets such notes come with the package (`parameter_counts.json`).
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.configuration.presets import PRESETS, Preset, shaped_as
from instruct_ablate.disk.whole_files import read_plain, read_sealed, write_sealed
from instruct_ablate.model.families import T5_LIKE, Kind
from instruct_ablate.model.loading.location import base_of, local_folder
from instruct_ablate.model.loading.random_model import shape_of, tiny_model
from instruct_ablate.model.loading.tiny_families import FAMILIES
from instruct_ablate.model.modes import quiet
from instruct_ablate.schema import MethodConfig, ModelConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

COUNTED = 5  # the way of counting; raise it when the same weights or adapters would be counted otherwise
SHIPPED = "parameter_counts.json"  # `instruct-ablate models --counts` makes it again
METHODS = (None, MethodConfig("full"), MethodConfig("lora"), MethodConfig("lora", target="attention"))
COMPARED = 65_536  # bytes of two matrices that are looked at: others differ in their first row
HEAD, EMBEDDINGS = "lm_head.weight", ("shared.weight", "encoder.embed_tokens.weight")  # of a T5
Count = tuple[int, int]
"""Weights for every rank (of adapters; else: all of them), and those that DoRA adds whatever the rank is."""


def empty_model(config: ModelConfig, cache: Path, head: Kind | None = None) -> PreTrainedModel | None:
    """Return the model without memory for its weights; None where its config.json cannot be read here.

    `head`: with the layer that writes tokens, as this kind of model has it.
    """
    place = _place(config, cache)
    if place is None:
        return None
    try:
        return _of_configuration(_configuration(place), head)
    except (OSError, ValueError):
        return None


def trainable_parameters(config: ModelConfig, method: MethodConfig, cache: Path) -> int | None:
    """Count the weights that `method` trains; None where the checkpoint's config.json cannot be read here.

    What was counted is noted in the cache: a plan of the same model needs no torch.
    """
    return _noted(config, method, cache)


def parameters(config: ModelConfig, cache: Path) -> int | None:
    """Count all weights of a checkpoint, those that read pictures too; None, and noted, as `trainable_parameters`."""
    return _noted(config, None, cache)


def preset_weights(preset: Preset, *methods: MethodConfig) -> list[int]:
    """Count the weights of a model that is known by its shape alone: all of them, then what each method trains."""
    return [_total(_of_preset(preset, method), method) for method in (None, *methods)]


def counts_to_ship(cache: Path) -> dict[str, Count]:
    """Count what the package names, by the keys of its notes; the cache takes the tiny models."""
    return dict(_counts(cache))


def _counts(cache: Path) -> Iterator[tuple[str, Count]]:
    for method in METHODS:
        for name in FAMILIES:
            config = ModelConfig(name, source="random")
            if (count := _counted(config, method, cache)) is not None:
                yield _under(shape_of(name), method), count
        for preset in PRESETS.values():
            yield _under(_made_as(preset), method), _of_preset(preset, method)


def _noted(config: ModelConfig, method: MethodConfig | None, cache: Path) -> int | None:
    key = _key(config, method, cache)
    memory = None if key is None else cache / "parameter_counts" / f"{key}.json"
    count = None if key is None else _shipped().get(key)
    if count is None and memory is not None:
        count = _as_count(read_sealed(memory))
    if count is None:
        count = _counted(config, method, cache)
        if memory is not None and count is not None:
            write_sealed(memory, count, "cache")
    return None if count is None else _total(count, method)


def _total(count: Count, method: MethodConfig | None) -> int:
    if method is None or method.name != "lora":
        return count[0]
    return method.rank * count[0] + (count[1] if method.dora else 0)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Count]:
    """Read the notes that come with the package: one of another transformers, shape or way of counting is never met."""
    found = json.loads(files(__package__).joinpath(SHIPPED).read_text(encoding="utf-8"))
    return {key: (by_rank, further) for key, (by_rank, further) in found.items()}


def _as_count(noted: object) -> Count | None:
    if isinstance(noted, list) and len(noted) == 2 and all(type(part) is int for part in noted):
        return noted[0], noted[1]
    return None


def _key(config: ModelConfig, method: MethodConfig | None, cache: Path) -> str | None:
    """Return what a count is noted under: all that it follows from; None where that is not at hand."""
    made = _made_of(config, cache)
    return None if made is None else _under(made, method)


def _under(made: bytes, method: MethodConfig | None) -> str:
    text = f"{version('transformers')} {COUNTED} {_what(method)}\n"
    return hashlib.sha256(text.encode() + made).hexdigest()[:32]


def _made_of(config: ModelConfig, cache: Path) -> bytes | None:
    """Return what a model's shape follows from: its recipe, its config.json, or a preset of as many weights."""
    if config.source == "random":
        return shape_of(config.name)
    place = _place(config, cache)
    if place is None:
        return None
    try:
        content = read_plain(Path(place) / "config.json")
        raw, own = json.loads(content), _own_head(Path(place))
    except (OSError, ValueError):
        return None
    preset = shaped_as(raw, own) if isinstance(raw, dict) else None
    return f"{own}\n".encode() + content if preset is None else _made_as(preset)


def _made_as(preset: Preset) -> bytes:
    return f"{preset.family} {preset.shape} {preset.tied}".encode()


def _what(method: MethodConfig | None) -> tuple[Any, ...]:
    """Return what the count of a method's weights follows from, beside the model."""
    if method is None:
        return ("all",)
    if method.name != "lora":
        return ("full",)
    return "lora", sorted(method.target_modules), method.target, method.layers


def _counted(config: ModelConfig, method: MethodConfig | None, cache: Path) -> Count | None:
    """Count by torch, which takes its time to import."""
    place = _place(config, cache)
    if place is None:
        return None
    own = FAMILIES[config.name].untied if config.source == "random" else _own_head(Path(place))
    try:
        return _of_shape(_configuration(place), method, own)
    except (OSError, ValueError):
        return None


def _of_preset(preset: Preset, method: MethodConfig | None) -> Count:
    from transformers import AutoConfig

    shape = copy.deepcopy(dict(preset.shape))  # transformers writes into what it is given
    return _of_shape(AutoConfig.for_model(preset.family, **shape), method, not preset.tied)


def _of_shape(shape: PretrainedConfig, method: MethodConfig | None, own_head: bool) -> Count:
    """Count a model of this configuration; `own_head`: its output layer is one of its own, whatever that says."""
    from instruct_ablate.model.adapters import reads_text

    kind: Kind = "encoder-decoder" if shape.is_encoder_decoder else "decoder-only"
    lora = method is not None and method.name == "lora"
    # Adapters stand beside the output layer where it is named alone.
    model: Any = _of_configuration(shape, kind if not lora or (method and method.target_modules) else None)
    if method is not None and lora:
        return _adapters(model, method)
    weights = reads_text(model).values() if method is not None else model.parameters()
    head, read = model.get_output_embeddings(), model.get_input_embeddings().weight
    untied = head.weight.numel() if own_head and head is not None and head.weight is read else 0
    return int(sum(weight.numel() for weight in weights)) + untied, 0


def _adapters(model: Any, method: MethodConfig) -> Count:
    """Count a pair of matrices for each rank, inputs + outputs of its layer, and DoRA's length for each output."""
    from torch import nn

    from instruct_ablate.model.adapters import adapted_on_top, is_adapted, is_linear, lies_within, of_pictures

    on_top, pictures = adapted_on_top(model, method), of_pictures(model)
    by_rank = lengths = 0
    for name, layer in model.named_modules():
        named = bool(method.target_modules) and isinstance(layer, nn.Embedding)
        if not (is_linear(layer) or named) or lies_within(name, pictures):
            continue
        if is_adapted(name, method) if on_top is None else name in on_top:
            turned = not hasattr(layer, "out_features")  # GPT-2's Conv1D and embeddings keep inputs first
            outputs, inputs = layer.weight.shape[:: -1 if turned else 1]
            by_rank += inputs + outputs
            lengths += outputs
    return int(by_rank), int(lengths)


def _configuration(place: str) -> PretrainedConfig:
    from transformers import AutoConfig

    with quiet():
        return AutoConfig.from_pretrained(place)


def _of_configuration(shape: PretrainedConfig, head: Kind | None) -> PreTrainedModel:
    import torch
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    loader: Any = {
        None: AutoModel,
        "decoder-only": AutoModelForCausalLM,
        "encoder-decoder": AutoModelForSeq2SeqLM,
    }
    with quiet(), torch.device("meta"):
        model: PreTrainedModel = loader[head].from_config(shape)
    return model


def _own_head(folder: Path) -> bool:
    """Whether a T5's weights hold an output layer that is not its embeddings, which its configuration never says.

    Where its weights are not there as safetensors, the configuration's own word counts; of other families it does.
    """
    try:
        raw = json.loads(read_plain(folder / "config.json"))
        if raw.get("model_type") not in T5_LIKE:
            return False
        parts = dict(part for path in sorted(folder.glob("*.safetensors")) for part in _parts(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if not parts:
        return raw.get("tie_word_embeddings") is False or raw.get("scale_decoder_outputs") is False
    read = next((parts[name] for name in EMBEDDINGS if name in parts), None)
    return HEAD in parts and read is not None and parts[HEAD] != read


def _parts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield head and embeddings of a safetensors file: the bytes that they begin with."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name in (HEAD, *EMBEDDINGS):
            if name in header:
                start, end = header[name]["data_offsets"]
                file.seek(8 + length + start)
                yield name, file.read(min(COMPARED, end - start))


def _place(config: ModelConfig, cache: Path) -> str | None:
    """Return the folder or hub id that has the configuration; None for a model not prepared yet."""
    if config.source == "pretrained":
        base = base_of(config)
        return str(local_folder(base) or _fetched(base) or base.path)
    if config.source == "random":
        return str(tiny_model(config.name, cache))
    folder = cache / "models" / config.name
    return str(folder) if (folder / "config.json").is_file() else None


def _fetched(config: ModelConfig) -> Path | None:
    """Return the folder of a hub id in the hub's own cache, where its configuration is there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(str(config.path), "config.json", revision=config.revision)
    return Path(found).parent if isinstance(found, str) else None
