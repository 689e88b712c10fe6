"""Models and tasks put into the cache ahead of a sweep, and what is there compared with what was built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from instruct_ablate.disk.prepared import damage
from instruct_ablate.disk.whole_files import put_aside
from instruct_ablate.instruction.content_kinds.annotation import PUBLISHED, annotation_of
from instruct_ablate.plural import are, counted
from instruct_ablate.schema import Config

# Prepared folders of the cache: frozen layers' states lie in batches, model by model.
PREPARED = ("tokens/*", "examples/*", "tasks/*", "models/*", "frozen/*/*")
NOTES = ("seen", "own")  # among the tasks: what is known of files, and of own readers' contents


def prepare(config: Config) -> Iterator[str]:
    """Read the tasks and load the model once, yielding what was found; later runs take both from the cache."""
    from instruct_ablate.tasks.collection import read_tasks
    from instruct_ablate.tasks.sampling.validation import held_out_line

    collection = read_tasks(config.tasks, Path(config.cache))
    told = f"{len(collection.train)} training and {counted(len(collection.test), 'test task')}"
    yield f"tasks {config.tasks.reader}: {told}"
    if config.evaluation.general:
        from instruct_ablate.tasks.general import general_name, read_general

        general = read_general(config.evaluation.general, Path(config.cache))
        yield f"evaluation.general {general_name(config.evaluation.general)}: {counted(len(general.test), 'task')}"
    if config.instruction.annotation in PUBLISHED:
        annotation = annotation_of(config.instruction.annotation, config.cache)
        yield f"annotation {config.instruction.annotation}: {counted(len(annotation.tasks), 'definition')}"
    if collection.validation:
        yield held_out_line(collection)
    if config.model.source == "baseline":
        yield f"model {config.model.name}: a baseline, nothing to fetch"
        return
    import torch

    from instruct_ablate.model.loading.checkpoint import load_checkpoint
    from instruct_ablate.model.loading.parameter_count import parameters, trainable_parameters

    checkpoint = load_checkpoint(config.model, torch.bfloat16, Path(config.cache))
    size = sum(weight.numel() for weight in checkpoint.model.parameters())
    parameters(config.model, Path(config.cache))  # noted, so that no plan needs torch to count them
    trainable_parameters(config.model, config.method, Path(config.cache))
    kind = "encoder-decoder" if checkpoint.encoder_decoder else "decoder-only"
    yield f"model {config.model.name}: {size / 1e6:.1f} million weights, {kind}, ready"


def verify(cache: Path) -> Iterator[str]:
    """Compare every byte of what is prepared in the cache; put aside what is damaged, yielding what was found."""
    whole = 0
    for folder in sorted(path for kind in PREPARED for path in cache.glob(kind) if _is_prepared(path)):
        if (fault := damage(folder, whole=True)) is None:
            whole += 1
        else:
            yield f"{folder} is damaged ({fault}): put aside as {put_aside(folder).name}, built again when needed"
    yield f"{counted(whole, 'prepared folder')} of {cache} {are(whole)} whole"


def _is_prepared(path: Path) -> bool:
    return not path.name.startswith(".") and ".damaged-" not in path.name and path.name not in NOTES
