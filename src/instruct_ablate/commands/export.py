"""`instruct-ablate export CELL FOLDER`: a trained cell's model as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from instruct_ablate.errors import UserError
from instruct_ablate.terminal import echo

if TYPE_CHECKING:
    from instruct_ablate.cell.after.export import Source
    from instruct_ablate.report.documents.model_card import Folder
    from instruct_ablate.schema import LoggerConfig


@click.command()
@click.argument("cell", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--merge", is_flag=True, help="Fold a LoRA adapter into the weights that it stands on.")
@click.option("--push", metavar="NAME", help="Upload it to the Hugging Face hub too, as NAME or USER/NAME.")
@click.option("--wandb", is_flag=True, help="Log it as an artifact of the cell's W&B run too.")
@click.option("--public", is_flag=True, help="With --push: for everybody to see.  [only you]")
@click.option("--license", "licence", default="", help="For the model card, such as apache-2.0.")
@click.option("--cache", type=click.Path(path_type=Path), help="As of train: where models are prepared.")
@click.option("--trust-remote-code", is_flag=True, help="Run the code that the cell's own checkpoint brings.")
def command(
    cell: Path,
    folder: Path,
    merge: bool,
    push: str | None,
    wandb: bool,
    public: bool,
    licence: str,
    cache: Path | None,
    trust_remote_code: bool,
) -> None:
    """Write the model that CELL trained to FOLDER, and its card. `model=FOLDER` takes it back.

    The cell must have been trained with keep_checkpoints=true.

    instruct-ablate export multirun/ablation/CELL my-model --merge
    """
    from instruct_ablate.cell.after.export import check_shape, new_folder, open_source, write_weights
    from instruct_ablate.model.export import base_folder
    from instruct_ablate.report.documents.model_card import TAKEN_BACK, model_card
    from instruct_ablate.report.show import read_cell

    if public and not push:
        raise UserError("--public goes with --push NAME: it says who may see what is uploaded")
    logger = _logger(cell) if wandb else None
    source = open_source(cell, read_cell(cell), cache or _usual_cache(), trust_remote_code)
    check_shape(source, merge, bool(push))
    with new_folder(folder) as unfinished:
        write_weights(source, unfinished, merge)
        card = model_card(source.record, _described(source, folder.name, merge, licence))
        (unfinished / "README.md").write_text(card, encoding="utf-8")
    echo(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    echo(f"Take it back: instruct-ablate train model={folder} {TAKEN_BACK}")
    if (place := base_folder(folder)) is not None:
        echo(f"The adapter stands on {place}, a folder of this machine; --merge makes one that stands alone.")
    if logger is not None:
        from instruct_ablate.cell.mirror.wandb_export import log_exported

        echo(f"Artifact of W&B run {log_exported(cell, source.record, folder, logger)}")
    if push:
        from instruct_ablate.hub import upload

        echo(f"Uploaded: {upload(folder, push, private=not public)}")


def _logger(cell: Path) -> LoggerConfig:
    """Return the logger of a cell that W&B knows."""
    from instruct_ablate.cell.state.stored_config import stored_part
    from instruct_ablate.schema import LoggerConfig

    logger = stored_part(cell, "logger", LoggerConfig)
    if logger.name != "wandb":
        raise UserError(
            f"--wandb: {cell} was logged to {logger.name}: train it with logger=wandb, or leave it out."
        )
    return logger


def _described(source: Source, title: str, merge: bool, licence: str) -> Folder:
    from instruct_ablate.cell.after.export import hub_id
    from instruct_ablate.model.loading.location import check_checkpoint
    from instruct_ablate.model.loading.packed_models import terms_of
    from instruct_ablate.report.documents.model_card import Folder

    both = check_checkpoint(source.model) == "encoder-decoder"
    adapter = source.method.name == "lora" and not merge
    auto_class = "ForSeq2SeqLM" if both else "ForCausalLM"
    return Folder(title, auto_class, adapter, hub_id(source.model), licence or terms_of(source.model))


def _usual_cache() -> Path:
    from instruct_ablate.grid.composing.composer import compose_config

    return Path(compose_config(()).cache)
