"""What is taken from inside submitit is there; a failure names what moved."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from instruct_ablate.grid.launch.submitit_internals import terminate

local = pytest.importorskip("submitit.local.local", reason="needs the slurm extra")


def test_a_local_job_is_told_to_stop_by_sigterm(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "250"]) as process:
        terminate(local.LocalJob(tmp_path, str(process.pid), process=process))
        told = "submitit's LocalJob keeps its process under another name than _process"
        assert process.wait(timeout=200) == -signal.SIGTERM, told


def test_a_job_without_a_process_is_over(tmp_path: Path) -> None:
    terminate(local.LocalJob(tmp_path, "1"))
