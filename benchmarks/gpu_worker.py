"""A process of the pool that tells what it was lent and leaves: `benchmarks/gpu.py` starts it in a cell's place."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from instruct_ablate.grid.launch.worker import READY


def machine() -> dict[str, object]:
    """Return what this process sees of the machine, after a product on its GPU."""
    import torch

    seen = {"GPU": os.environ.get("CUDA_VISIBLE_DEVICES"), "threads": os.environ.get("OMP_NUM_THREADS")}
    if not torch.cuda.is_available():
        return {**seen, "GPUs seen": 0}
    square = torch.ones(512, 512, device="cuda", dtype=torch.bfloat16)
    fine = bool((square @ square == 512).all())
    return {
        **seen,
        "GPUs seen": torch.cuda.device_count(),
        "name": torch.cuda.get_device_name(),
        "product": fine,
    }


def main(answers: int) -> None:
    """Answer orders as `instruct_ablate.grid.launch.worker` does."""
    for line in sys.stdin.buffer:
        told = json.loads(line)
        (Path(told["output"]).parent / "machine.json").write_text(json.dumps(machine()))
        if told["last"]:
            return
        os.write(answers, READY)


if __name__ == "__main__":
    main(int(sys.argv[1]))
