"""The processor that products run on: its instruction sets, and what tells it from others of other kernels."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

INFO = Path("/proc/cpuinfo")  # of Linux
TELLING = ("vendor_id", "cpu family", "model", "model name", "CPU implementer", "CPU part")


def instruction_sets() -> frozenset[str]:
    """Return the processor's feature flags (empty where the system does not tell)."""
    fields = _fields()
    return frozenset(fields.get("flags", fields.get("Features", "")).split())


def processor_name() -> str:
    """Return what the maker calls the processor, or what machine it is where the system does not tell."""
    return _fields().get("model name") or platform.processor() or platform.machine()


def device_name(device: torch.device) -> str:
    """Return what the maker calls the processor or GPU that a model is on."""
    if device.type != "cuda":
        return processor_name()
    import torch

    return str(torch.cuda.get_device_name(device))


def processor_kind() -> tuple[str, ...]:
    """Tell processors apart that may round a product otherwise: maker, type and instruction sets.

    oneDNN and MKL choose their kernels by all of these; torch's own word for them (`AVX512`) is the same for processors
    with AMX and without.
    """
    fields = _fields()
    flags = " ".join(sorted(instruction_sets()))
    own = tuple(fields.get(name, "") for name in TELLING)
    return (platform.machine(), *own, hashlib.sha256(flags.encode()).hexdigest()[:16])


def _fields() -> dict[str, str]:
    """Return what the system says of its first processor."""
    try:
        first = INFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
