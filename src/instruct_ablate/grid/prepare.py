"""Models and tasks put into the cache ahead of a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from instruct_ablate.schema import Config


def prepare(config: Config) -> Iterator[str]:
    """Read the tasks and load the model once, yielding what was found; later runs take both from the cache."""
    from instruct_ablate.tasks.collection import read_tasks

    collection = read_tasks(config.tasks, Path(config.cache))
    told = f"{len(collection.train)} training and {len(collection.test)} test tasks"
    yield f"tasks {config.tasks.reader}: {told}"
    if config.model.source == "baseline":
        yield f"model {config.model.name}: a baseline, nothing to fetch"
        return
    import torch

    from instruct_ablate.model.loading.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(config.model, torch.bfloat16, Path(config.cache))
    size = sum(weight.numel() for weight in checkpoint.model.parameters())
    kind = "encoder-decoder" if checkpoint.encoder_decoder else "decoder-only"
    yield f"model {config.model.name}: {size / 1e6:.1f} million weights, {kind}, ready"
