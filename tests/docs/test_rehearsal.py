"""What the README and the guide print is run as printed, block after block, in a user's folder."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs import session
from tests.docs.blocks import TOP, blocks
from tests.docs.folder import make
from tests.docs.not_run import SHOWN
from tests.docs.steps import place, shown, steps

End = tuple[int, str, float]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], End]]:
    """How a step ended, once it has: one process runs all of them in one folder, and each test waits for its own."""
    folder = tmp_path_factory.mktemp("guide")
    make(folder)
    (folder / "steps.json").write_text(json.dumps(steps()), encoding="utf-8")
    source = {"PYTHONPATH": str(TOP / "src"), "NATURAL_INSTRUCTIONS": "PATH", "WANDB_MODE": "offline"}
    with subprocess.Popen(
        [sys.executable, session.__file__, "steps.json", "ends.json"],
        cwd=folder, env={**os.environ, **source, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}, start_new_session=True,
    ) as running:  # fmt: skip
        try:
            yield lambda number: _end(running, folder / "ends.json", number)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)


def _end(running: subprocess.Popen[bytes], ends: Path, number: int) -> End:
    """Wait for a step for as long as pytest lets a test wait."""
    while True:
        over = running.poll()
        done = json.loads(ends.read_text(encoding="utf-8")) if ends.exists() else []
        if number < len(done):
            status, said, seconds = done[number]
            return status, said, seconds
        assert over is None, f"all ended with status {over} after {len(done)} of {len(steps())} steps"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(steps())), ids=lambda n: f"{n}-{steps()[n][1][:40]}")
def test_it_runs_as_printed(ended: Callable[[int], End], number: int) -> None:
    kind, text = steps()[number]
    status, said, _ = ended(number)
    assert status == 0, f"{kind} {text}\n{said}"


@pytest.mark.slow
def test_printed_output_has_the_printed_form(ended: Callable[[int], End]) -> None:
    """Numbers may be others."""
    (block,) = [block for block in blocks() if SHOWN.get(shown(block) or "") == "printed"]
    (number,) = [number for number, (_, text) in enumerate(steps()) if text.startswith("replay ")]
    _, said, _ = ended(number)
    for line in block.text.splitlines():
        assert re.search(re.sub(r"\d+", r"\\d+", line), said), f"{place(block)}: {line!r} is not in {said}"
