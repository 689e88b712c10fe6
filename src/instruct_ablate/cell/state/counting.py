"""What of a configuration counts for a cell's identity: all keys but those that are listed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instruct_ablate.cell.state.setting.keys import GENERAL, NEUTRAL
from instruct_ablate.configuration.typed_values import tree, typed
from instruct_ablate.schema import TasksConfig

DOES_NOT_COUNT = frozenset(
    {
        # where and how a cell runs
        "trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.num_nodes", "trainer.threads",
        "trainer.progress", "trainer.micro_batch_tokens", "trainer.activation_checkpointing",
        "trainer.checkpoint_every_steps", "trainer.frozen_cache_gb", "trainer.keep_below", "data.num_workers",
        "evaluation.save_prompts",
        # scores while training change nothing of what is trained, unless weights are chosen by them (`_choosing`)
        "evaluation.at", "evaluation.every_steps", "evaluation.every_epochs", "evaluation.at_instances",
        # where results and prepared data lie, how a sweep behaves, what a report asks
        "study", "output", "cache", "retry", "reuse", "until", "fail_fast", "raise_faults", "detach", "with_untuned",
        "keep_checkpoints", "cell_timeout", "hypotheses", "reference", "logger", "report",
        # stands for itself elsewhere: content hashes, canonical instructions
        "tasks.sha256",
        "tasks.root", "model.path", "model.root", "model.name", "model.revision", "model.source",
        "model.trust_remote_code",
        "instruction", "evaluation.instructions", "extensions",
        # names that tables show
        "tasks.name", "model.tuned",
        # what the user has agreed to
        "model.accept_licence",
        # decides prompt.end_of_source, which counts
        "model.end_of_source",
    }
)  # fmt: skip


def counting(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten the configuration, leaving out what does not count."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        key = prefix + name
        if key in DOES_NOT_COUNT:
            continue
        if isinstance(value, dict) and not prefix:
            flat |= counting(value, f"{key}.")
        else:
            flat[key] = (
                _parts(value) if key == "tasks.parts" else _general(value) if key == GENERAL else value
            )
    return flat


def _parts(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts of the parts of a mixture: the same as of tasks that stand alone."""
    counted = {name: counting(tree(typed(TasksConfig, part)), "tasks.") for name, part in given.items()}
    return {name: but_neutral(part) for name, part in counted.items()}


def _general(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts of the tasks by which general ability is held: the same as of those that are tested."""
    return _parts({GENERAL: given})[GENERAL] if given else {}


def but_neutral(counted: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the keys at the value that does what was done before there were such keys."""
    return {key: value for key, value in counted.items() if key not in NEUTRAL or value != NEUTRAL[key]}
