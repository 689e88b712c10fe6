"""A trained cell's weights as a folder that other programs read: from what `keep_checkpoints` has kept of it."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import TRAINED
from instruct_ablate.cell.state.stored_config import stored_part
from instruct_ablate.disk.whole_files import explained, follow_mode, make_folder
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.process.processes import PROGRAM, after_program
from instruct_ablate.schema import Config, MethodConfig, ModelConfig

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Source:
    """A cell whose trained weights are exported, and how they are made again."""

    folder: Path
    record: CellRecord
    model: ModelConfig
    method: MethodConfig
    cache: Path


def open_source(folder: Path, record: CellRecord, cache: Path, trust_remote_code: bool = False) -> Source:
    """Check that a cell has trained weights, made from a checkpoint that is still the one it began with."""
    from instruct_ablate.model.loading.fingerprint import checkpoint_fingerprint

    if record.state != "done":
        raise UserError(f"{folder}: the cell is {record.state}; only what is done can be exported.")
    if record.setting.untuned:
        raise UserError(f"{folder}: the cell trained nothing: its model is as it was loaded.")
    if not (folder / TRAINED).is_file():
        raise UserError(f"{folder}: its weights were not kept. {_again(record)}")
    model, method = stored_part(folder, "model", ModelConfig), stored_part(folder, "method", MethodConfig)
    if model.trust_remote_code and not trust_remote_code:
        raise UserError(
            f"{folder}: its checkpoint {model.path} runs code of its own; if you trust it, add --trust-remote-code."
        )
    began, now = dict(record.setting.revisions).get("model"), checkpoint_fingerprint(model, cache)
    if began != now:
        raise UserError(
            f"{folder}: it began with {model.name} {began}, and that is {now} by now: put the first back."
        )
    return Source(folder, record, model, method, cache)


def _again(record: CellRecord) -> str:
    """Say what to type for a cell like this one that keeps its weights."""
    words: list[str] = []
    if record.environment is not None:
        # In its own study the cell is done, and would be skipped: `keep_checkpoints` makes it no other one.
        own = ("study", "keep_checkpoints")
        words = [w for w in after_program(record.environment.command) if w.split("=")[0] not in own]
    again = shlex.join([*PROGRAM.split(), *words, "study=kept", "keep_checkpoints=true"])
    return f"Train it again and keep them: {again}"


def check_shape(source: Source, merge: bool, push: bool) -> None:
    """Refuse to merge what is whole, and to upload an adapter on a base that nobody else has."""
    lora = source.method.name == "lora"
    if merge and not lora:
        raise UserError(
            f"--merge folds in a LoRA adapter; {source.folder} trained all weights: leave it out."
        )
    if push and lora and not merge and not hub_id(source.model):
        raise UserError(
            f"--push: the adapter stands on {source.model.name}, which is on no hub: nobody else could use it. "
            "Add --merge."
        )


def hub_id(model: ModelConfig) -> str:
    """Return the id of a checkpoint of a hub; empty for one of this machine."""
    from instruct_ablate.model.loading.location import local_folder

    on_hub = model.source == "pretrained" and local_folder(model) is None
    return str(model.path) if on_hub else ""


def write_weights(source: Source, target: Path, merge: bool) -> None:
    """Write model and tokenizer into `target`, in the precision that they were tested in, and read them again."""
    from instruct_ablate.model.export import check_written, write_adapter, write_checkpoint

    adapter = source.method.name == "lora" and not merge
    checkpoint = _trained(source)
    if adapter:
        write_adapter(checkpoint, source.model, target, source.cache)
    else:
        write_checkpoint(checkpoint, target)
    check_written(checkpoint, source.model, target, source.cache)


def _trained(source: Source) -> Checkpoint:
    """Load the checkpoint that training began with, and put into it what training gave."""
    import torch

    from instruct_ablate.model.adapters import bare
    from instruct_ablate.model.loading.checkpoint import load_checkpoint
    from instruct_ablate.model.loading.precision import DTYPES
    from instruct_ablate.model.training.resume import training_state
    from instruct_ablate.model.training.trainable import make_trainable, set_weights

    made = source.record.environment
    kept = training_state.read(source.folder / TRAINED)
    if kept is None or made is None or made.precision not in DTYPES:
        raise UserError(f"{source.folder}: its weights cannot be read. {_again(source.record)}")
    checkpoint = load_checkpoint(source.model, getattr(torch, DTYPES[made.precision]), source.cache)
    model: Any = make_trainable(checkpoint.model, Config(model=source.model, method=source.method))
    try:
        set_weights(model, kept["masters"])
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise UserError(
            f"{source.folder / TRAINED} does not hold the weights of {source.model.name}: {in_a_line(error)}"
        ) from error
    # `make_trainable` turns it off, and the folder would tell whoever generates with it to leave it off.
    bare(model).config.use_cache = True
    return replace(checkpoint, model=model.eval())


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to write to, which takes the name `target` once the block has ended well."""
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise UserError(
            f"{target} is there already, and holds something: name a folder that is new or empty."
        )
    with explained(target, "FOLDER"):
        make_folder(target.absolute().parent)
        # Beside its place: a folder is not renamed from one file system into another.
        unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
        try:
            yield unfinished
            follow_mode(unfinished)  # `mkdtemp` makes folders for their owner alone
            unfinished.rename(target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
