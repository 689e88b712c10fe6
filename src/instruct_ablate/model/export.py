"""Checkpoints as folders that other programs read: whole, merged or an adapter alone, and read again to be sure."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model.adapters import bare, merged
from instruct_ablate.model.loading.checkpoint import Checkpoint, load_checkpoint, place_of
from instruct_ablate.model.loading.location import ADAPTER
from instruct_ablate.model.modes import quiet
from instruct_ablate.schema import ModelConfig


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write model and tokenizer as any other program reads them: adapters are folded into a copy."""
    model = checkpoint.model
    if bare(model) is not model:
        model = merged(copy.deepcopy(model))
    with quiet():
        model.save_pretrained(folder)
    checkpoint.tokenizer.save_pretrained(folder)


def write_adapter(checkpoint: Checkpoint, base: ModelConfig, folder: Path, cache: Path) -> None:
    """Write the adapter of a peft model as peft does, with the tokenizer and the name of what it stands on."""
    model: Any = checkpoint.model
    place = place_of(base, cache)
    told = model.peft_config[model.active_adapter]
    told.base_model_name_or_path = str(Path(place).resolve()) if Path(place).is_dir() else place
    told.revision = base.revision
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks the hub for the base's embeddings, which are as they were
        model.save_pretrained(folder, save_embedding_layers=False)
    checkpoint.tokenizer.save_pretrained(folder)


def base_folder(folder: Path) -> str | None:
    """Return the folder of this machine that an exported adapter stands on; None for a hub's, or a whole model."""
    if not (folder / ADAPTER).is_file():
        return None
    place = str(json.loads((folder / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"])
    return place if Path(place).is_absolute() else None


def check_written(checkpoint: Checkpoint, config: ModelConfig, folder: Path, cache: Path) -> None:
    """Read a written folder as `model=FOLDER` does and refuse it where a single weight is not the trained one."""
    model: Any = checkpoint.model
    if bare(model) is not model:
        model = merged(model)
    given = replace(config, path=str(folder), source="pretrained", revision=None)
    again: Any = load_checkpoint(given, model.dtype, cache).model
    ours, theirs = (dict(one.named_parameters(remove_duplicate=False)) for one in (model, again))
    wrong = [name for name, weight in ours.items() if not _same(weight, theirs.get(name))]
    if wrong:
        raise UserError(
            f"{len(wrong)} weights are not read again as they were trained, first {wrong[0]}: this kind of model "
            "cannot keep them in a whole checkpoint. Export the adapter alone, without --merge."
        )


def _same(one: torch.Tensor, other: torch.Tensor | None) -> bool:
    return other is not None and torch.equal(one.detach().cpu(), other.detach().cpu())
