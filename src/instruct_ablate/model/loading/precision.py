"""Arithmetic precision: what `trainer.precision` means on this machine, settled before a cell's identity."""

from __future__ import annotations

from typing import Literal

from instruct_ablate.errors import UserError, unknown
from instruct_ablate.model.processor import instruction_sets

Precision = Literal["bf16", "fp32", "fp16"]
NAMES = ("auto", "bf16", "fp32", "fp16")
FAST_CPU_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}  # what torch calls them
AMPERE = 8  # first CUDA compute capability with bf16 units


def resolve_precision(name: str, accelerator: str, encoder_decoder: bool) -> Precision:
    """Return the precision meant by `name`; `auto` is bf16 where the device is fast in it, else fp32.

    fp16 is refused for encoder-decoder models: T5's activations exceed fp16's largest number (65,504)
    in its feed-forward layers, and training ends in NaN (huggingface/transformers, "T5 FP16 in Pytorch").
    """
    if name not in NAMES:
        raise unknown("trainer.precision", name, NAMES)
    if name == "auto":
        return "bf16" if _fast_in_bf16(accelerator) else "fp32"
    if name == "fp16" and encoder_decoder:
        raise UserError(
            "trainer.precision=fp16 does not work with encoder-decoder (T5) models: their activations "
            "overflow fp16 and the loss becomes NaN. Use trainer.precision=bf16 or fp32."
        )
    if name == "fp16" and not _is_for_gpu(accelerator):
        raise UserError("trainer.precision=fp16 needs a GPU. Use trainer.precision=bf16 or fp32 on the CPU.")
    return name  # type: ignore[return-value]


def _is_for_gpu(accelerator: str) -> bool:
    """Whether a fit with this accelerator setting is meant for a GPU, though none may be here: grids are checked where
    they are launched.
    """
    import torch

    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())


def _fast_in_bf16(accelerator: str) -> bool:
    """Whether bf16 products are at least as fast as fp32 ones on the device that will be used."""
    import torch

    if _is_for_gpu(accelerator):
        return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= AMPERE
    return bool(FAST_CPU_FLAGS & instruction_sets())
