import pytest
import torch

from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.layers.batch import Batch, Row
from instruct_ablate.model.decoding.layers.encoder_decoder import EncoderDecoder
from tests.model.decoding_cases import make_checkpoint

START = 0
TREE = label_tree(("a", "ab", "c"), ((5, 1), (5, 6, 1), (8, 9, 1)))
SINGLE = label_tree(("x",), ((7, 1),))
ROWS = (Row((30, 1), None, TREE), Row((31, 1), None, SINGLE), Row((32, 33, 34, 35, 1), None, TREE))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_checkpoint("tiny_t5", tmp_path_factory.mktemp("cache")).model.eval()


def logits(model, row, ids):
    with torch.no_grad():
        decoder_ids = torch.tensor([[START, *ids]])
        return model(input_ids=torch.tensor([row.tokens]), decoder_input_ids=decoder_ids).logits[0]


@torch.no_grad()
def test_steps_equal_the_model_and_go_on_after_rows_have_left(model):
    decoder = EncoderDecoder(model, Batch((), ROWS), START)
    for row, one in zip(ROWS, decoder.prefill(3), strict=True):
        torch.testing.assert_close(one, logits(model, row, ())[-1], rtol=1e-4, atol=1e-4)
    decoder.step(torch.tensor([40, 41, 42]))
    decoder.keep(torch.tensor([0, 1]))
    found = decoder.step(torch.tensor([50, 51]))
    for row, one, ids in zip(ROWS, found, ((40, 50), (41, 51)), strict=False):
        torch.testing.assert_close(one, logits(model, row, ids)[-1], rtol=1e-4, atol=1e-4)
    assert decoder.real.shape[1] == 2  # the long source has gone, and its columns with it


@torch.no_grad()
def test_label_trees_are_scored_as_each_path_alone(model):
    found = EncoderDecoder(model, Batch((), ROWS), START).score()
    assert [len(one) for one in found] == [5, 2, 5]
    for row, scores, path, nodes in (
        (ROWS[0], found[0], (5, 6), [0, 1, 2]),
        (ROWS[2], found[2], (8, 9), [0, 3, 4]),
        (ROWS[1], found[1], (7,), [0, 1]),
    ):
        torch.testing.assert_close(scores[nodes], logits(model, row, path), rtol=1e-4, atol=1e-4)
