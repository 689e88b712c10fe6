"""What the README and the guide print is run as printed, block after block, in a user's folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.docs import session
from tests.docs.blocks import TOP, blocks
from tests.docs.folder import make
from tests.docs.not_run import SHOWN
from tests.docs.steps import Step, place, shown, steps


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[Step, tuple[int, str, float]]:
    """How every step ended, run in one process in one folder."""
    folder = tmp_path_factory.mktemp("guide")
    make(folder)
    (folder / "steps.json").write_text(json.dumps(steps()), encoding="utf-8")
    source = {"PYTHONPATH": str(TOP / "src"), "NATURAL_INSTRUCTIONS": "PATH", "WANDB_MODE": "offline"}
    subprocess.run(
        [sys.executable, session.__file__, "steps.json", "ends.json"],
        cwd=folder, env={**os.environ, **source, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}, check=True, timeout=560,
    )  # fmt: skip
    ends = json.loads((folder / "ends.json").read_text(encoding="utf-8"))
    return {one: tuple(end) for one, end in zip(steps(), ends, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(steps())), ids=lambda n: f"{n}-{steps()[n][1][:40]}")
def test_it_runs_as_printed(ended: dict[Step, tuple[int, str, float]], number: int) -> None:
    kind, text = steps()[number]
    status, said, _ = ended[kind, text]
    assert status == 0, f"{kind} {text}\n{said}"


@pytest.mark.slow
def test_printed_output_has_the_printed_form(ended: dict[Step, tuple[int, str, float]]) -> None:
    """Numbers may be others."""
    (block,) = [block for block in blocks() if SHOWN.get(shown(block) or "") == "printed"]
    ((_, said, _),) = [end for (_, text), end in ended.items() if text.startswith("replay ")]
    for line in block.text.splitlines():
        assert re.search(re.sub(r"\d+", r"\\d+", line), said), f"{place(block)}: {line!r} is not in {said}"
