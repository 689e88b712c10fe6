"""Where a checkpoint lies, and what its small files say: found out and checked without loading a weight."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from instruct_ablate.errors import Interrupted, UserError, first_line, unknown
from instruct_ablate.hub import WAIT
from instruct_ablate.model.families import ENCODER_DECODERS, Kind
from instruct_ablate.model.loading.packed_models import MODELS, NAMES
from instruct_ablate.model.loading.settings import check_model, check_revision
from instruct_ablate.model.loading.tiny_families import FAMILIES
from instruct_ablate.schema import ModelConfig, PromptConfig

BUILT_IN: dict[str, Kind] = {
    **dict.fromkeys(NAMES, "decoder-only"),
    **{name: family.kind for name, family in FAMILIES.items()},
}
ROOM: dict[str, int | None] = {
    **{name: one.positions for name, one in MODELS.items()},
    **{name: family.positions for name, family in FAMILIES.items()},
}
POSITION_KEYS = ("max_position_embeddings", "n_positions", "n_ctx")
LONG_ROPE = "longrope"
RELATIVE = ("relative_attention_num_buckets", "alibi")  # T5's and BLOOM's: any length
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
ADAPTER = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a checkpoint before it is loaded.

    `commit` where it comes from a hub; `positions`: the longest sequence it reads, None where that is not limited.
    """

    kind: Kind
    commit: str | None = None
    positions: int | None = None


def check_checkpoint(config: ModelConfig) -> Kind:
    """Check all that can be checked without loading or converting; return the kind of model."""
    return facts(config).kind


def facts(config: ModelConfig) -> Facts:
    """Find out kind and commit of a checkpoint; every fault is a `UserError`."""
    check_model(config)
    if config.source == "baseline":
        raise UserError(f"model={config.name} is a baseline: there is no checkpoint to look at.")
    if config.source in ("wheel", "random"):
        allowed = NAMES if config.source == "wheel" else tuple(FAMILIES)
        if config.name not in allowed:
            raise unknown(f"model for model.source={config.source}", config.name, allowed)
        if config.kind not in (None, BUILT_IN[config.name]):
            raise _other_kind(config, config.name, BUILT_IN[config.name])
        return Facts(BUILT_IN[config.name], positions=ROOM[config.name])
    folder = local_folder(config)
    if folder is None:
        return _check_hub(config)
    check_revision(config, folder)
    return _check_adapter(folder, config) if is_adapter(folder) else _check_folder(folder, config)


def check_room(known: Facts, config: PromptConfig) -> None:
    """Refuse prompts and answers longer than the model's positions: it fails there, or was never trained there."""
    source, target, limit = config.max_source_length, config.max_target_length, known.positions
    apart = known.kind == "encoder-decoder"  # source and answer have positions of their own
    if limit is None or (max(source, target) if apart else source + target) <= limit:
        return
    fits = limit if apart else limit - target
    advice = f"prompt.max_source_length={fits}" if fits > 0 else "a smaller prompt.max_target_length"
    if apart and target > limit:
        advice = f"prompt.max_target_length={limit}"
    raise UserError(
        f"prompt.max_source_length={source} and prompt.max_target_length={target}: the model reads at most {limit} "
        f"tokens{'' if apart else ' of prompt and answer together'}; give {advice}."
    )


def _positions(raw: dict[str, Any]) -> int | None:
    """Return how many positions a configuration has; relative ones are not limited."""
    if any(raw.get(name) for name in RELATIVE):
        return None
    inner = raw.get("text_config")
    parts = (raw, inner) if isinstance(inner, dict) else (raw,)
    named = [part[name] for part in parts for name in POSITION_KEYS if name in part]
    limits = [*_before_long(raw), *named]
    return next((count for count in limits if isinstance(count, int) and count > 0), None)


def _before_long(raw: dict[str, Any]) -> list[Any]:
    """Return up to where LongRoPE (Phi) keeps its short frequencies.

    Beyond, one long sequence changes those of all that are read beside it: a batch would not be what each is alone.
    """
    ropes = [raw[name] for name in ("rope_parameters", "rope_scaling") if isinstance(raw.get(name), dict)]
    if not any(LONG_ROPE in (rope.get("rope_type"), rope.get("type")) for rope in ropes):
        return []
    return [part.get("original_max_position_embeddings") for part in (*ropes, raw)]


def local_folder(config: ModelConfig) -> Path | None:
    """Return the local folder that `model.path` means, below `model.root` for a hub id; None: the hub is asked."""
    if not config.path:
        raise UserError(
            f"model={config.name}: no model.path. Give a local folder or a hub id: model.path=..."
        )
    folder = Path(config.path).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise UserError(f"model.path={config.path} is a file; give the folder that holds config.json.")
    if config.path.startswith((".", "/", "~")) or config.path.count("/") > 1:
        raise UserError(f"model.path={config.path}: there is no such folder.")
    return None if config.root is None else _below(config.root, config.path)


def _below(root: str, hub_id: str) -> Path:
    """Return the folder of a hub id below `model.root`: OWNER/NAME or NAME; where a root is given, no hub is asked."""
    place = Path(root).expanduser()
    if not place.is_dir():
        raise UserError(f"model.root={root}: there is no such folder.")
    tried = dict.fromkeys((place / hub_id, place / hub_id.rpartition("/")[2]))
    found = next((folder for folder in tried if folder.is_dir()), None)
    if found is None:
        names = " or ".join(str(one.relative_to(place)) for one in tried)
        raise UserError(
            f"model.root={root} holds no folder {names}. Put the checkpoint there (config.json, tokenizer, weights), "
            "give its own folder as model.path, or leave model.root out to ask the hub."
        )
    return found


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter alone, as peft writes it: it stands on another checkpoint."""
    return (folder / ADAPTER).is_file() and not (folder / "config.json").exists()


def base_of(config: ModelConfig) -> ModelConfig:
    """Return the checkpoint that an adapter stands on; any other one as it is."""
    folder = local_folder(config) if config.source == "pretrained" else None
    if folder is None or not is_adapter(folder):
        return config
    raw = _read(folder / ADAPTER)
    base, revision = raw.get("base_model_name_or_path"), raw.get("revision")
    if not isinstance(base, str) or not base:
        raise UserError(f"{folder / ADAPTER} names no base_model_name_or_path that the adapter stands on.")
    based = replace(config, path=base, revision=revision if isinstance(revision, str) else None)
    if (below := local_folder(based)) is not None and is_adapter(below):
        raise UserError(f"{folder / ADAPTER}: {base} is an adapter itself; merge that one first.")
    return based


def _check_adapter(folder: Path, config: ModelConfig) -> Facts:
    """Check an adapter: its weights' header, and all of the checkpoint that it stands on."""
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise UserError(f"{folder} holds no {weights.name}, which the adapter's weights lie in.")
    _check_safetensors(weights)
    base = base_of(config)
    return facts(
        base if local_folder(base) is None else replace(base, revision=None)
    )  # its own word, not asked for


def _check_folder(folder: Path, config: ModelConfig) -> Facts:
    """Check a local checkpoint: its configuration, its tokenizer, its weights' headers."""
    raw = _read(folder / "config.json", "a model folder needs one")
    kind = _kind(raw, config, str(folder))
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise UserError(
            f"{folder} holds no tokenizer (none of {', '.join(TOKENIZER_FILES)}). "
            "Save it beside the model: tokenizer.save_pretrained(folder)."
        )
    if (folder / "tokenizer_config.json").is_file():
        _refuse_code(_read(folder / "tokenizer_config.json"), config, f"{folder}/tokenizer_config.json")
    weights = [path for pattern in WEIGHTS for path in sorted(folder.glob(pattern))]
    if not weights:
        raise UserError(f"{folder} holds no weights (none of {', '.join(WEIGHTS)}).")
    for path in weights:
        if path.suffix == ".safetensors":
            _check_safetensors(path)
    return Facts(kind, positions=_positions(raw))


def _check_hub(config: ModelConfig) -> Facts:
    """Check a hub checkpoint by its configuration: from the hub's local cache, else fetched."""
    path = _hub_file(config)
    commit = path.parent.name if path.parent.parent.name == "snapshots" else None
    raw = _read(path)
    return Facts(_kind(raw, config, str(config.path)), commit, _positions(raw))


def _hub_file(config: ModelConfig) -> Path:
    """Fetch config.json of a hub id, quickly found unreachable."""
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    name, revision = str(config.path), config.revision
    where = f"model.path={name}" + (f" model.revision={revision}" if revision else "")
    try:
        return Path(hf_hub_download(name, "config.json", revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise UserError(
            f"model.path={name} is neither a local folder nor a hub id: {first_line(error)}"
        ) from error
    try:
        _reach(hf_hub_url(name, "config.json", revision=revision))
        return Path(hf_hub_download(name, "config.json", revision=revision))
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise UserError(
            f"{where}: the hub knows no such model, or you may not read it. {first_line(error)}"
        ) from error
    except Interrupted:
        raise
    except Exception as error:
        raise UserError(
            f"{where}: no such local folder, and the hub cannot be reached or has no config.json there "
            f"({first_line(error)}). Check the name and the network, or give a local folder as model.path."
        ) from error


def _reach(url: str) -> None:
    """Fail at once where there is no network (the hub's own client tries for half a minute)."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        raise OSError("HF_HUB_OFFLINE is set")
    get_session().head(url, timeout=WAIT)


def _kind(raw: dict[str, Any], config: ModelConfig, where: str) -> Kind:
    """Tell the kind of model from its configuration."""
    _refuse_code(raw, config, f"{where}/config.json")
    if "model_type" not in raw:
        raise UserError(
            f"{where}/config.json has no model_type: it is not a transformers model's configuration."
        )
    both = raw.get("is_encoder_decoder", raw["model_type"] in ENCODER_DECODERS)
    kind: Kind = "encoder-decoder" if both else "decoder-only"
    if config.kind not in (None, kind):
        raise _other_kind(config, f"{where} ({raw['model_type']})", kind)
    return kind


def _other_kind(config: ModelConfig, what: str, kind: Kind) -> UserError:
    return UserError(f"model.kind={config.kind}, but {what} is {kind}. Leave model.kind out.")


def _refuse_code(raw: dict[str, Any], config: ModelConfig, where: str) -> None:
    """Refuse a checkpoint that brings code of its own, unless it was asked for."""
    if "auto_map" in raw and not config.trust_remote_code:
        raise UserError(
            f"{where} would run code that comes with the checkpoint ({raw['auto_map']}). If you trust "
            "it, set model.trust_remote_code=true."
        )


def _read(path: Path, why: str = "") -> dict[str, Any]:
    """Read a JSON object."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path.parent} holds no {path.name}" + (f"; {why}." if why else ".")) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} does not hold a JSON object.")
    return raw


def _check_safetensors(path: Path) -> None:
    """Compare a weights file's length with what its header promises (a broken download is shorter)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, size)))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise UserError(f"{path} is not a safetensors file, or it is broken.") from error
    if size < 8 + length + max(ends, default=0):
        raise UserError(f"{path} is cut short: {size} bytes of {8 + length + max(ends, default=0)}.")
