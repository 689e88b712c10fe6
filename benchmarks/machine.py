"""The machine a figure belongs to: processor, instruction sets, GPU, and the rate of one large matrix product."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from instruct_ablate.model.processor import instruction_sets, processor_name

# Instruction sets that decide how fast a product is, narrow ones first.
SETS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_tile", "bf16", "sve", "i8mm")
# Dense bf16 operations a second by the makers' data sheets, by what stands in a device's name.
PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12,
    "A10": 125e12, "RTX 4090": 165e12,
}  # fmt: skip


def processor() -> dict[str, Any]:
    """Return the processor's type, its cores that may be used and its instruction sets."""
    flags = instruction_sets()
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instruction sets": [name for name in SETS if name in flags],
        "torch's kernels": torch.backends.cpu.get_cpu_capability(),
    }


def run_cases(given: argparse.Namespace, run: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Run the cases chosen, print each with its processor, and write all to `--json` where that is given."""
    torch.set_num_threads(given.threads)
    here = {**processor(), "threads": given.threads}
    results: dict[str, Any] = {"machine": here}
    print(json.dumps(here), flush=True)
    for name in given.case:
        results[name] = {**run(name), "processor": here["processor"]}
        print(f"{name}: {json.dumps(results[name])}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def device_peak(name: str) -> float | None:
    """Return a GPU's bf16 operations a second by its data sheet, None where it is not listed."""
    return next((peak for part, peak in PEAKS.items() if part in name), None)


def product_rate(
    dtype: torch.dtype, device: str = "cpu", size: int = 2048, repetitions: int = 7, clock: Any = None
) -> float:
    """Return the operations a second of one large matrix product: the median of several."""
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / median_time(lambda: one @ other, device, repetitions, clock)


def read_rate(size: int, clock: Any = None) -> float:
    """Return the bytes that one thread or more read a second of so many, again and again: the median of several sums.

    What a cache holds of so many bytes counts as it would for weights that are as large.
    """
    values = torch.ones(max(1, size // 4))
    return 4 * values.numel() / median_time(values.sum, "cpu", clock=clock)


def copy_rate(device: str, mebibytes: int) -> float:
    """Return the bytes read and written a second by a copy within the device's memory."""
    source = torch.empty(mebibytes * 2**20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / median_time(lambda: target.copy_(source), device)


def median_time(
    run: Callable[[], Tensor | None], device: str, repetitions: int = 7, clock: Any = None
) -> float:
    """Return the seconds that `run` takes: the median of several, after two that are not counted."""
    read, times = clock or time.perf_counter, []
    for _ in range(repetitions + 2):
        synchronize(device)
        started = read()
        run()
        synchronize(device)
        times.append(read() - started)
    return statistics.median(times[2:])


def synchronize(device: str) -> None:
    """Wait for what a GPU was given to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
