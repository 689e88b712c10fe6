"""What a cell ran with: host, command, commit, versions, device."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

from instruct_ablate.cell.state.record.record import Environment
from instruct_ablate.process.processes import command_line

PACKAGES = ("instruct-ablate", "torch", "transformers", "pytorch-lightning", "peft", "numpy", "rouge-score")

COMMIT_FILE = "commit"


def environment(
    device: str = "none",
    precision: str = "none",
    parameters: int = 0,
    fused: int = 0,
    processor: str = "",
    threads: int = 0,
) -> Environment:
    """Describe the calling process, and what the cell's model ran on; a baseline has none.

    `parameters`: the weights of its model; `fused`: what its training says of it; `threads`: of torch on a CPU.
    """
    return Environment(
        host=socket.gethostname(),
        command=command_line(),
        commit=commit(),
        python=platform.python_version(),
        versions=versions(),
        device=device,
        precision=precision,
        parameters=parameters,
        fused=fused,
        processor=processor,
        threads=threads,
    )


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of the packages that decide over results."""
    found = []
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


@cache
def commit() -> str | None:
    """Return the checkout's commit, with "+changes" where files differ; None outside a checkout.

    A copy that was made for queued jobs has its commit in a file.
    """
    folder = Path(__file__).parents[4]
    if (folder / COMMIT_FILE).is_file():
        return (folder / COMMIT_FILE).read_text(encoding="utf-8") or None
    if not (folder / ".git").exists():
        return None
    head = _git(folder, "rev-parse", "HEAD")
    changed = head and _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{head}+changes" if changed else head


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    # In bytes on macOS, in KiB elsewhere.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def gpu_memory() -> int:
    """Return the most bytes that tensors of this process took on one GPU since its cell began; 0 where it used none."""
    torch = sys.modules.get("torch")  # cells without a model need none
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return max(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count())), default=0)
