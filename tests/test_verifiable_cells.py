"""Verifiable instructions as cells, from the command to the report: the four numbers are those of the saved answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.cell.after.rescore import rescore_study
from instruct_ablate.cell.state.record.predictions import PredictionRow, read_predictions
from instruct_ablate.constraints import constraints_of, followed
from instruct_ablate.metrics.constraints import (
    ALL,
    INSTRUCTION_LOOSE,
    INSTRUCTION_STRICT,
    PROMPT_LOOSE,
    PROMPT_STRICT,
)
from tests.grid.small import records, sweep

COMMON = (
    "tasks=verifiable", "tasks.test_tasks=8", "tasks.test_instances=2", "prompt.max_target_length=24", "data_budget=1",
    "data_budget.tasks=2", "trainer=tiny", "trainer.max_steps=2", "trainer.precision=fp32",
    "trainer.accelerator=cpu", "trainer.progress=false",
    "evaluation.instructions=[original]", "logger=none", "reuse=none", "with_untuned=false",
    "hypotheses=[copy_input exceeds original on instruction_level_strict]", "report.at_end=true",
)  # fmt: skip


def by_hand(rows: tuple[PredictionRow, ...]) -> dict[str, float]:
    """The four numbers over all prompts, and over all constraints."""
    pytest.importorskip("py3langid")
    kept = [followed(constraints_of(row.references), row.prediction) for row in rows]
    number = sum(len(one.strict) for one in kept)
    return {
        PROMPT_STRICT: 100 * sum(all(one.strict) for one in kept) / len(kept),
        PROMPT_LOOSE: 100 * sum(all(one.loose) for one in kept) / len(kept),
        INSTRUCTION_STRICT: 100 * sum(sum(one.strict) for one in kept) / number,
        INSTRUCTION_LOOSE: 100 * sum(sum(one.loose) for one in kept) / number,
    }


@pytest.mark.slow
def test_a_study_of_them_has_the_four_numbers_everywhere(tmp_path: Path) -> None:
    run = sweep(tmp_path, "model=tiny_llama,copy_input", *COMMON, f"cache={tmp_path}/cache")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "constraints" in run.stdout
    assert "copy_input is higher than original on constraints strict" in " ".join(run.stdout.split())
    folder = tmp_path / "multirun" / "ablation"
    cells = records(tmp_path)
    assert {cell.state for cell in cells.values()} == {"done"}
    assert len(cells) == 2
    for name, cell in cells.items():
        (block,) = cell.blocks
        rows = read_predictions(folder / name / block.predictions)
        assert len(rows) == 16
        overall = block.scores.overall
        assert {key: overall.get(key) for key in ALL} == pytest.approx(by_hand(rows))
        assert overall.get("rougeL") is None
    (copied,) = [cell for cell in cells.values() if cell.setting.model == "copy_input"]
    assert 0 < (copied.blocks[0].scores.overall.get(INSTRUCTION_STRICT) or 0) < 100
    assert [one.changed for one in rescore_study(folder)] == [False, False]
    assert list((folder / "report").glob("*.html"))
