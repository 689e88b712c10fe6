"""All rows at once, by plain products in the place of a GPU's kernels, against run by run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from instruct_ablate.model import cuda_attention
from instruct_ablate.model.attention_scores import Scores
from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.layers import all_runs
from instruct_ablate.model.decoding.layers.batch import Batch, Row, runs
from instruct_ablate.model.decoding.layers.kv_cache import PrefixCache, Score
from tests.model.test_cuda_attention import dense

TREE = label_tree(("a", "b", "c"), ((4, 5, 1), (4, 6, 1), (7, 1)))
CHAIN = label_tree(("a",), ((4, 5, 6, 1),))
BATCH = Batch(
    ((1,) * 9, (2,) * 20),
    (Row((1, 2), 0, TREE), Row((1, 3), 0, TREE), Row((1,) * 7, 1, CHAIN), Row((8,) * 5, None, TREE)),
)
SCORES = Scores(0.3)


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[Any]]:
    called: list[Any] = []

    def counted(*given: Any) -> torch.Tensor:
        called.append(given)
        return dense(*given)

    monkeypatch.setattr(cuda_attention, "flash_attention", counted)

    def switch(there: bool) -> list[Any]:
        monkeypatch.setattr(all_runs, "takes_whole_batches", lambda *_: there)
        return called

    return switch


def read(batch: Batch, trees: bool, scores: Scores) -> tuple[torch.Tensor, torch.Tensor]:
    """What the prefixes and the rows attend to, grouped heads."""
    torch.manual_seed(0)
    prefixes = PrefixCache([len(prefix) for prefix in batch.prefixes])
    total = sum(len(prefix) for prefix in batch.prefixes)
    states = [torch.randn(1, heads, total, 8) for heads in (4, 2, 2)]
    first = prefixes.attend(0, states[0], (states[1], states[2]), scores) if batch.prefixes else states[0]
    joined = runs(batch, trees)
    own = [torch.randn(1, heads, joined[-1].stop, 8) for heads in (4, 2, 2)]
    return first, Score(prefixes, joined).attend(0, own[0], (own[1], own[2]), scores)


@pytest.mark.parametrize("window", [None, 4, 12])
@pytest.mark.parametrize("trees", [True, False])
def test_rows_behind_prefixes_and_their_trees_in_one_call(
    trees: bool, window: int | None, on_gpu: Callable[[bool], list[Any]]
) -> None:
    scores = replace(SCORES, window=window)
    on_gpu(False)
    wanted = read(BATCH, trees, scores)
    called = on_gpu(True)
    found = read(BATCH, trees, scores)
    assert len(called) == 2  # one for the prefixes, one for the rows
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_without_prefixes(on_gpu: Callable[[bool], list[Any]]) -> None:
    batch = Batch((), BATCH.rows[-1:])
    on_gpu(False)
    wanted = read(batch, True, SCORES)[1]
    assert on_gpu(True) == []
    torch.testing.assert_close(read(batch, True, SCORES)[1], wanted)


def test_a_label_s_chain_is_part_of_its_row() -> None:
    batch = Batch((), (replace(BATCH.rows[2], prefix=None), BATCH.rows[3]))
    chained, branched = (list(all_runs._pieces(run, 0)) for run in runs(batch, True))
    assert chained == [(10, [*range(10)])]
    assert branched[0] == (7, [*range(7)])  # the row's five, and the first way down the tree
    assert branched[1:] == [(1, [0, 1, 2, 3, 4, 5, 7]), (1, [0, 1, 2, 3, 4, 8])]


def test_bounded_scores_go_run_by_run(on_gpu: Callable[[bool], list[Any]]) -> None:
    called = on_gpu(True)
    read(BATCH, True, replace(SCORES, cap=5.0))
    assert called == []
