"""Test rows that repeat training rows of their own task: what is right there may be remembered, not understood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from instruct_ablate.tasks.store import Instances
from instruct_ablate.tasks.task import Task


def repeated_notes(train: Sequence[Task], test: Sequence[Task]) -> Iterator[str]:
    """Say of tasks that are trained on and tested how many test rows have the input of a training row."""
    trained = {task.name: task for task in train}
    for task in test:
        if task.name in trained and task.instances:
            known = pc.is_in(_inputs(task), value_set=_inputs(trained[task.name]))
            if repeated := pc.sum(known).as_py():
                yield (
                    f"{task.name}: {repeated} of {len(task.instances)} test rows have the input of a training row, and "
                    "may be remembered: scores say little of other rows"
                )


def _inputs(task: Task) -> pa.Array:
    given: Sequence[object] = task.instances
    if isinstance(given, Instances):
        return given.inputs()
    return pa.array([one.input.encode(errors="surrogatepass") for one in task.instances], pa.binary())
