import pytest
import torch

from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.decoder_only import PackedDecoder
from tests.model.decoding_cases import make_checkpoint

PREFIXES = ((10, 11, 12, 13), (20, 21))
TREE = label_tree(("a", "ab", "c"), ((5, 0), (5, 6, 0), (8, 9, 0)))
ROWS = (Row((30,), 0, TREE), Row((31, 32, 33), 0, TREE), Row((34, 35), 1, TREE), Row((36, 37), None, TREE))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_checkpoint("tiny_llama", tmp_path_factory.mktemp("cache")).model.eval()


def whole(row):
    return [*(() if row.prefix is None else PREFIXES[row.prefix]), *row.tokens]


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


@torch.no_grad()
def test_prefill_gives_the_next_token_logits_of_each_row(model):
    found = PackedDecoder(model, Batch(PREFIXES, ROWS)).prefill(0)
    for row, one in zip(ROWS, found, strict=True):
        torch.testing.assert_close(one, logits(model, whole(row))[-1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_steps_go_on_after_rows_have_left(model):
    decoder = PackedDecoder(model, Batch(PREFIXES, ROWS))
    decoder.prefill(3)
    decoder.step(torch.tensor([40, 41, 42, 43]))
    decoder.keep(torch.tensor([0, 2, 3]))
    found = decoder.step(torch.tensor([50, 52, 53]))
    for row, one, new in zip((ROWS[0], *ROWS[2:]), found, ((40, 50), (42, 52), (43, 53)), strict=True):
        torch.testing.assert_close(one, logits(model, [*whole(row), *new])[-1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_label_trees_are_scored_as_each_path_alone(model):
    found = PackedDecoder(model, Batch(PREFIXES, ROWS)).score()
    for row, scores in zip(ROWS, found, strict=True):
        for ids in ((5, 6), (8, 9)):
            expected = logits(model, [*whole(row), *ids])[-3:]
            at = [0, 1 + TREE.tokens.index(ids[0]), 1 + TREE.tokens.index(ids[1])]
            torch.testing.assert_close(scores[at], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_changing_a_row_leaves_the_others_as_they_are(model):
    changed = (*ROWS[:1], Row((99, 98, 97), 0, TREE), *ROWS[2:])
    one, two = (PackedDecoder(model, Batch(PREFIXES, rows)).prefill(0) for rows in (ROWS, changed))
    assert torch.equal(one[[0, 2, 3]], two[[0, 2, 3]])
    assert not torch.equal(one[1], two[1])
