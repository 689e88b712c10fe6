"""Parts of small cells are told apart, and a whole one follows from them and from its counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.hundred import extrapolated, line, main, steps_of
from benchmarks.hundred_parts import Cell

from benchmarks import hundred


@pytest.mark.parametrize(
    ("sizes", "length", "wanted"),
    [([4], 1, (0, 0)), ([4], 3, (2, 8)), ([4, 2], 3, (4, 12)), ([5], 16, (15, 75))],
)
def test_steps_follow_from_batches_and_lengths(
    sizes: list[int], length: int, wanted: tuple[int, int]
) -> None:
    assert steps_of(sizes, [length]) == wanted  # the first token comes with the reading


def test_finished_rows_leave_where_many_have(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([2, 2, 5, *[2] * 19, 5])
    monkeypatch.setattr(hundred.random.Random, "choice", lambda *_: next(drawn))
    assert steps_of([3], [2, 5]) == (
        4,
        3 * 1 + 3,
    )  # a step of all but those that need one, then one row alone
    assert steps_of([20], [2, 5]) == (4, 20 * 0 + 20 + 1 + 1 + 1)


def test_a_step_is_a_line() -> None:
    cells = [Cell(steps=[(4, 1.4), (10, 2.0)]), Cell(steps=[(20, 3.0)])]
    assert line(cells) == pytest.approx((1.0, 0.1))


def test_a_whole_cell_from_its_counts() -> None:
    cell = Cell(
        [2.0, 1000], [3.0, 1000], [1.0, 2000], [9.0, 10], [(4, 0.4), (2, 0.2)], [(3, True), (3, False)], 17.6
    )
    counted = {
        "trained tokens": 10_000, "of these distinct, in chunks": 5_000, "tokens of test prompts": 9, "read": 40_000,
        "rows of batches": [10], "longest answer": 11,
    }  # fmt: skip
    found = extrapolated([cell], counted)
    assert found["training, s"] == [20, 35]
    assert found["reading, s"] == 20
    assert found["writing, s"][0] == 2  # two steps of ten rows, a tenth of a second a row
    assert found["writing, s"][0] < found["writing, s"][1] <= 10
    assert found["all else, s"] == 2.0
    assert found["a cell, s"][0] == 44


@pytest.mark.parametrize("decoding", ["rank", "constrained"])
def test_other_than_free_answers_are_refused(decoding: str) -> None:
    """Ranking takes no decoding step, so that all of its time would count as a cell's fixed rest."""
    with pytest.raises(SystemExit, match=f"evaluation.decoding={decoding}"):
        main(["--model", "tiny_llama", "--override", "trainer=tiny", f"evaluation={decoding}"])


def test_parts_of_small_cells_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "found.json"
    main([
        "--model", "tiny_llama", "--layers", "top:1", "--small", "4:12:0", "4:12:1", "--length", "6", "--tasks", "2",
        "--instances", "2", "--test-tasks", "2", "--test-instances", "3", "--json", str(written),
        "--override", "trainer=tiny",
    ])  # fmt: skip
    found: dict[str, Any] = json.loads(written.read_text())
    first, second = found["small"]
    names = {name.partition(":")[0] for name in first}
    assert {"trained", "computed", "written"} <= names
    assert "read" not in names
    assert "read" in {
        name.partition(":")[0] for name in second
    }  # the same prompts, as the first cell kept them
    assert first["written: s, tokens, ms a token"][1] == second["read: s, tokens, ms a token"][1]
    assert first["answers, tokens, ended"][0] == 12
    assert sum(found["counted"]["rows of batches"]) == 6
    assert 0 < found["counted"]["read"] <= found["counted"]["tokens of test prompts"]
    assert 0 < found["counted"]["of these distinct, in chunks"] <= found["counted"]["trained tokens"]
    assert found["extrapolated"]["a cell, s"][0] <= found["extrapolated"]["a cell, s"][1]
