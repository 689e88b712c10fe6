"""Everything that a GPU must show, in one command of at most eight minutes: equality, speed, sharing.

    python -m benchmarks gpu [--parts losses answers ...] [--seconds 470] [--json FILE]

It needs torch, transformers and Lightning, no network and no weights: models have the shapes of known ones and random
numbers in them. Each part runs in a process of its own, forked before anything touches the GPU, with seconds of its
own; what a part has measured is on disk at once, so that neither a failure nor a limit loses another's. Without a GPU
the same parts run in small form on the processor, which tests that the command works and measures nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

# Before torch is imported: asking whether there is a GPU must not start CUDA in the process that forks.
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"

import torch
from benchmarks.gpu_attention import attention
from benchmarks.gpu_fused import fused

from benchmarks import gpu_equality as equality
from benchmarks import gpu_speed as speed
from instruct_ablate.grid.launch.local_pool import visible_gpus

Part = Callable[[argparse.Namespace], Iterator[tuple[str, dict[str, Any]]]]
# In the order of what is missed most where time runs out; the seconds that each may take on a GPU.
PARTS: dict[str, tuple[Part, int]] = {
    "machine": (speed.describe, 30),
    "losses": (equality.losses, 60),
    "answers": (equality.answers, 60),
    "attention": (attention, 40),
    "train smollm2_135m": (partial(speed.train, name="smollm2_135m"), 75),
    "evaluate smollm2_135m": (partial(speed.evaluate, name="smollm2_135m"), 75),
    "train t5_large": (partial(speed.train, name="t5_large"), 90),
    "train qwen3_0.6b": (partial(speed.train, name="qwen3_0.6b"), 75),
    "resume": (equality.resume, 40),
    "pool": (equality.pool, 40),
    "fused": (fused, 45),
    "profile qwen3_0.6b": (partial(speed.profile, name="qwen3_0.6b"), 30),
    "evaluate t5_large": (partial(speed.evaluate, name="t5_large"), 60),
    "train gemma3_270m": (partial(speed.train, name="gemma3_270m"), 60),
    "evaluate qwen3_0.6b": (partial(speed.evaluate, name="qwen3_0.6b"), 75),
    "profile t5_large": (partial(speed.profile, name="t5_large"), 30),
    "grid": (equality.grid, 60),
}


SEVERAL = ("machine", "pool", "grid")  # parts that may see more than one GPU


def run_part(name: str, given: argparse.Namespace) -> None:
    """Run one part in this process and add what it finds to the file of all, line by line."""
    with lines_of(given).open("a", encoding="utf-8") as lines:

        def write(what: str, values: dict[str, Any]) -> None:
            lines.write(json.dumps([name, what, values], default=str) + "\n")
            lines.flush()

        try:
            for what, values in PARTS[name][0](given):
                write(what, values)
        except BaseException as error:
            last = traceback.format_exc()[-1500:]
            write("failed", {"error": f"{type(error).__name__}: {error}"[:500], "where": last})


def in_fork(name: str, given: argparse.Namespace) -> None:
    """Run one part in a fork; where CUDA cannot start in it, in a fresh process in its place."""
    os.setsid()  # so that all that the part starts ends with it
    if given.device == "cuda":
        if name not in SEVERAL and (gpus := visible_gpus()):
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[0]
        try:
            torch.zeros(1, device="cuda")
        except RuntimeError:
            os.execv(sys.executable, [sys.executable, *sys.argv, "--alone", name])
    run_part(name, given)


def watch(name: str, given: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Run a part beside this process for so long at most; return what it wrote."""
    started = time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=in_fork, args=(name, given))
    process.start()
    process.join(seconds)
    over = process.is_alive()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid or 0, signal.SIGKILL)  # what the part started and left, too
    process.join(10)
    written = lines_of(given).read_text(encoding="utf-8").splitlines() if lines_of(given).exists() else []
    told = [json.loads(line) for line in written if line.endswith("]")]
    found = {what: values for part, what, values in told if part == name}
    if over:
        found["failed"] = {"error": f"stopped after {seconds:.0f} s"}
    elif process.exitcode:
        found.setdefault("failed", {"error": f"the process ended with {process.exitcode}"})
    return {"seconds": round(time.monotonic() - started, 1), "found": found}


def lines_of(given: argparse.Namespace) -> Path:
    """Return the file that parts write to while they run."""
    path: Path = given.json
    return path.with_suffix(".jsonl")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Run the parts one after another within the seconds there are, and write after each."""
    ends = time.monotonic() + given.seconds
    results: dict[str, Any] = {"device": given.device, "small": given.small, "parts": {}}
    given.json.parent.mkdir(parents=True, exist_ok=True)
    lines_of(given).unlink(missing_ok=True)
    for name in given.parts:
        left = ends - time.monotonic()
        if left < 5:
            results["parts"][name] = {"skipped": "no time was left"}
        else:  # the small form is measured by nothing, and may run on a busy machine
            results["parts"][name] = watch(name, given, left if given.small else min(PARTS[name][1], left))
        tell(name, results["parts"][name])
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def tell(name: str, result: dict[str, Any]) -> None:
    """Print a part's findings."""
    print(f"\n{name}: {result.get('skipped') or str(result['seconds']) + ' s'}")
    for what, values in result.get("found", {}).items():
        print(
            f"  {what}: " + ", ".join(f"{key} {_short(value)}" for key, value in values.items()), flush=True
        )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def unequal(results: dict[str, Any]) -> list[str]:
    """Name what failed, or is not what it should equal."""
    return [
        f"{part}: {name}"
        for part, result in results["parts"].items()
        for name, values in result.get("found", {}).items()
        if name == "failed" or "error" in values or values.get("equal") is False
    ]


def has_gpu() -> bool:
    """Whether there is a GPU, without starting CUDA; containers may have one, and no nvidia-smi."""
    return bool(visible_gpus()) or torch.cuda.is_available()


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; sizes follow from the device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--seconds", type=float, default=470, help="for all parts together")
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto")
    parser.add_argument("--batch-size", type=int, help="examples of a training step, on both sides")
    parser.add_argument("--steps", type=int, help="the first two are not counted")
    parser.add_argument("--peer-rows", type=int, nargs="+", help="the peer's batch sizes")
    parser.add_argument("--micro-batch-tokens", type=int, help="this package's micro-batches")
    parser.add_argument("--alone", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "gpu.json")
    given = parser.parse_args(arguments)
    if given.device == "auto":
        given.device = "cuda" if has_gpu() else "cpu"
        if given.device == "cpu":
            print(
                "no GPU is seen by nvidia-smi or torch: the small form runs on the processor, and measures nothing"
            )
    given.small = given.device == "cpu"
    usual = (8, 2, [4], 1024) if given.small else (128, 8, [16, 64], 32768)
    for key, value in zip(("batch_size", "steps", "peer_rows", "micro_batch_tokens"), usual, strict=True):
        setattr(given, key, getattr(given, key) or value)
    return given


def main() -> None:
    given = options()
    if given.alone:
        run_part(given.alone, given)
        return
    found = unequal(run(given))
    print(f"\nwritten to {given.json}")
    if found:
        sys.exit("failed or not equal:\n  " + "\n  ".join(found))


if __name__ == "__main__":
    main()
