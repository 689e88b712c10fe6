"""Identity of a cell: a hash of all that changes its result, and of nothing else.

What does not count is listed here, in one place. A key that is not listed counts, so that a new key can never
make two different cells one. `precision: auto` counts as `auto`: the machine that plans a grid is often not
the one that runs it; the record says which precision was used.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from instruct_ablate.baselines import shown_as
from instruct_ablate.cell.state.canonical import canonical_blocks, effective, is_baseline, is_untuned
from instruct_ablate.cell.state.record import FORMAT, Axes
from instruct_ablate.errors import UserError
from instruct_ablate.extensions import load_extensions
from instruct_ablate.instruction.label import canonical, label
from instruct_ablate.schema import Config, ModelConfig

CODE = 1  # raised when the code's results change: prompts, sampling, optimisation, scoring

DOES_NOT_COUNT = frozenset(
    {
        # where and how a cell runs
        "trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.num_nodes", "trainer.threads",
        "trainer.progress", "trainer.micro_batch_tokens", "trainer.activation_checkpointing",
        "trainer.checkpoint_every_steps", "data.num_workers", "evaluation.batch_tokens",
        "evaluation.save_prompts",
        # where results and prepared data lie, how a sweep behaves, what a report asks
        "study", "output", "cache", "retry", "reuse", "fail_fast", "detach", "with_untuned", "keep_checkpoints",
        "cell_timeout", "hypotheses", "reference", "logger",
        # stands for itself elsewhere: content hashes, canonical instructions
        "tasks.root", "model.path", "model.name", "model.revision", "model.source", "model.trust_remote_code",
        "instruction", "evaluation.instructions", "extensions",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """A cell's hash, its folder's name, its place in the grid and what was hashed."""

    hash: str
    name: str
    axes: Axes
    data_hash: str
    counted: dict[str, Any]

    def to_json(self) -> str:
        """Write what was hashed, for people who ask why two cells differ."""
        return json.dumps({"identity": self.hash, "counted": self.counted}, indent=1, sort_keys=True)


def identify(config: Config) -> Identity:
    """Return the identity of the cell that `config` asks for."""
    load_extensions(config.extensions)
    shaped = effective(config)
    data_hash = _data_hash(config)
    counted = {
        "format": FORMAT,
        "code": CODE,
        "data": data_hash,
        "checkpoint": shaped.model.name if is_baseline(shaped) else _fingerprint(shaped),
        "instruction": None if is_untuned(shaped) else dataclasses.asdict(canonical(shaped.instruction)),
        "tested": canonical_blocks(shaped),
        "extensions": [_content(path) for path in shaped.extensions],
        **_counting(dataclasses.asdict(shaped)),
    }
    digest = hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()
    axes = _axes(shaped)
    return Identity(digest, folder_name(axes, is_baseline(shaped), digest), axes, data_hash, counted)


def _counting(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten the configuration, leaving out what does not count."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        key = prefix + name
        if key in DOES_NOT_COUNT:
            continue
        if isinstance(value, dict) and not prefix:
            flat |= _counting(value, f"{key}.")
        else:
            flat[key] = value
    return flat


def folder_name(axes: Axes, baseline: bool, digest: str) -> str:
    """Return the readable name with a short hash: `smollm2_135m-simplified-8-s0-1a2b3c4d`."""
    if baseline:
        parts = [axes.model]
    elif axes.untuned:
        parts = [axes.model, "untuned"]
    else:
        method = [] if axes.method == "full" else [axes.method]
        parts = [axes.model, *method, axes.instruction, str(axes.data_budget), f"s{axes.seed}"]
    readable = re.sub(r"[^\w.+()-]+", "_", "-".join(parts))[:100]
    return f"{readable}-{digest[:8]}"


def _axes(config: Config) -> Axes:
    return Axes(
        tasks=config.tasks.reader,
        instruction=label(config.instruction),
        num_positive=config.instruction.num_positive,
        data_budget=config.data_budget.instances_per_task,
        budget_tasks=config.data_budget.tasks,
        model=shown_as(config.model.name, config.model.tries),
        method=config.method.name,
        prompt=config.prompt.template,
        decoding=config.evaluation.decoding,
        seed=config.seed,
    )


_DATA: dict[str, str] = {}


def _data_hash(config: Config) -> str:
    """Return the content hash of the tasks, read once per process and configuration."""
    from instruct_ablate.tasks.collection import read_tasks

    key = json.dumps(dataclasses.asdict(config.tasks), sort_keys=True)
    if key not in _DATA:
        _DATA[key] = read_tasks(config.tasks, Path(config.cache)).content_hash
    return _DATA[key]


_CHECKPOINTS: dict[str, str] = {}


def _fingerprint(config: Config) -> str:
    """Return the fingerprint of the weights, found once per process and model."""
    from instruct_ablate.model.loading.fingerprint import checkpoint_fingerprint

    key = _model_key(config.model)
    if key not in _CHECKPOINTS:
        _CHECKPOINTS[key] = checkpoint_fingerprint(config.model, Path(config.cache))
    return _CHECKPOINTS[key]


def _model_key(model: ModelConfig) -> str:
    return json.dumps(dataclasses.asdict(model), sort_keys=True)


@cache
def _content(path: str) -> str:
    """Return the hash of a user's own Python file."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"extensions: cannot read {path!r} ({error.strerror})") from error
