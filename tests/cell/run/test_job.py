"""A job: unless said otherwise it leads, and mirrors nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from instruct_ablate.cell.mirror.loggers import Silent
from instruct_ablate.cell.run.job import Job
from instruct_ablate.schema import Config


def test_a_job_keeps_the_record_and_has_a_mirror_of_its_own():
    anything: Any = None
    jobs = [Job(Config(), anything, Path("cell"), anything) for _ in range(2)]
    assert all(job.leads for job in jobs)
    assert all(isinstance(job.mirror, Silent) for job in jobs)
    assert jobs[0].mirror is not jobs[1].mirror
    assert jobs[0].mirror.loggers() == []
