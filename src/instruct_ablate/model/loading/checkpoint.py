"""The checkpoint: an encoder-decoder or decoder-only model and its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.errors import Interrupted, UserError, with_kind
from instruct_ablate.model.families import Kind
from instruct_ablate.model.loading.fingerprint import checkpoint_fingerprint
from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.model.loading.location import base_of, check_checkpoint, local_folder
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.model.loading.wheel_model import wheel_model
from instruct_ablate.model.modes import quiet
from instruct_ablate.schema import ModelConfig

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "Checkpoint",
    "Kind",
    "check_checkpoint",
    "checkpoint_fingerprint",
    "load_checkpoint",
    "load_tokenizer",
]

ALIGNED = 64  # bytes: torch's own memory on the CPU starts at multiples of it


@dataclass(frozen=True)
class Checkpoint:
    """A model in memory and its tokenizer, which always has a padding token."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    encoder_decoder: bool
    name: str

    @property
    def start_token(self) -> int | None:
        """The token a decoder beside an encoder starts with; None for decoder-only models."""
        if not self.encoder_decoder:
            return None
        parts = (self.model.config, self.model.generation_config)
        given = [part.to_dict().get("decoder_start_token_id") for part in parts if part is not None]
        begins = [*given, self.tokenizer.bos_token_id, self.tokenizer.pad_token_id]
        return int(next(token for token in begins if token is not None))


def load_checkpoint(config: ModelConfig, dtype: torch.dtype, cache: Path) -> Checkpoint:
    """Load a model (weights in `dtype`, evaluation mode) and its tokenizer; built-in ones are made first."""
    if not SHELF.is_open:
        return _load(config, dtype, cache)
    key = (repr(config), dtype, cache, checkpoint_fingerprint(config, cache))
    checkpoint: Checkpoint = SHELF.take(key, lambda: _load(config, dtype, cache), _size)
    return checkpoint


def _size(checkpoint: Checkpoint) -> int:
    """Return the bytes of the weights."""
    return sum(weight.numel() * weight.element_size() for weight in checkpoint.model.parameters())


def _load(config: ModelConfig, dtype: torch.dtype, cache: Path) -> Checkpoint:
    encoder_decoder = check_checkpoint(config) == "encoder-decoder"
    tokenizer = load_tokenizer(config, cache)
    model = _model(config, dtype, cache, encoder_decoder)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UserError(
            f"model={config.name}: the tokenizer has {len(tokenizer)} tokens, the model only {rows}. "
            "They do not belong together; save the tokenizer the model was trained with beside it."
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    _align(model)
    return Checkpoint(model.eval(), tokenizer, encoder_decoder, config.name)


def load_tokenizer(config: ModelConfig, cache: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer alone; one without a padding token pads with its end token."""
    from transformers import AutoTokenizer

    with quiet(), _explained(config, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(place_of(config, cache), **_options(config))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.eos_token is None or tokenizer.pad_token is None:
        raise UserError(
            f"model={config.name}: its tokenizer has no end-of-text token (eos_token); name one in its "
            "tokenizer_config.json."
        )
    return tokenizer


def _model(config: ModelConfig, dtype: torch.dtype, cache: Path, encoder_decoder: bool) -> Any:
    """Load the weights, all of them; an adapter is folded into those that it stands on."""
    base = base_of(config)
    if base is config:
        return _whole_model(config, dtype, cache, encoder_decoder)
    from peft import PeftModel

    from instruct_ablate.model.adapters import merged

    model = _whole_model(base, dtype, cache, encoder_decoder)
    with quiet(), _explained(config, "adapter"):
        return merged(PeftModel.from_pretrained(model, place_of(config, cache)))


def _whole_model(config: ModelConfig, dtype: torch.dtype, cache: Path, encoder_decoder: bool) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM
    with quiet(), _explained(config, "model"):
        model, info = kind.from_pretrained(
            place_of(config, cache), dtype=dtype, output_loading_info=True, **_options(config)
        )
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise UserError(
            f"model={config.name}: {place_of(config, cache)} lacks {len(missing)} of the model's weights "
            f"({', '.join(missing[:3])}, ...): they would be random."
        )
    return model


def _align(model: PreTrainedModel) -> None:
    """Move weights that lie in the file's own pages to memory of their own.

    They start anywhere there, and sums of vectors differ in their last bits with the address they start at.
    """
    for weight in model.parameters():
        if weight.data_ptr() % ALIGNED:
            weight.data = weight.data.clone()


def place_of(config: ModelConfig, cache: Path) -> str:
    """Return the folder or hub id to load from."""
    if config.source == "wheel":
        return str(wheel_model(config.name, cache))
    if config.source == "random":
        return str(tiny_model(config.name, cache))
    return str(local_folder(config) or config.path)


def _options(config: ModelConfig) -> dict[str, Any]:
    """Return what every loading call is given."""
    if config.source != "pretrained":
        return {}
    revision = {"revision": config.revision} if config.revision else {}
    return {"trust_remote_code": config.trust_remote_code, **revision}


@contextmanager
def _explained(config: ModelConfig, what: str) -> Iterator[None]:
    """Turn a library's loading error into one message."""
    try:
        yield
    except (UserError, Interrupted):
        raise
    except Exception as error:
        raise UserError(
            f"model={config.name}: its {what} cannot be loaded from {config.path or 'the cache'}: "
            f"{with_kind(error).splitlines()[0]}"
        ) from error
