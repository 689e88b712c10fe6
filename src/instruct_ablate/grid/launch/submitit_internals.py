"""What the launcher takes from inside submitit; nowhere else, and with a test of its own."""

from __future__ import annotations

from typing import Any


def terminate(job: Any) -> None:
    """Tell a local job to stop as Slurm would: submitit's own `cancel` sends the signal of Ctrl-C."""
    if job._process is not None:
        job._process.terminate()
