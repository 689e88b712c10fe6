import pytest
import torch
from torch.overrides import TorchFunctionMode

from instruct_ablate.model.decoding.greedy import decode_greedily

END = 0


class Scripted:
    """A decoder that says what its script holds, and notes which rows it was asked for."""

    steady = False

    def __init__(self, script):
        self.script = script
        self.rows = torch.arange(len(script))
        self.place = 0
        self.asked = []

    def prefill(self, room):
        self.room = room
        return self._logits()

    def step(self, tokens):
        said = [[*self.script[row], *[END] * 9][self.place - 1] for row in self.rows.tolist()]
        assert [t for t in tokens.tolist() if t] == [s for s in said if s]
        return self._logits()

    def keep(self, rows):
        self.rows = self.rows[rows]

    def _logits(self):
        self.asked.append(self.rows.tolist())
        said = torch.tensor([[*self.script[row], *[END] * 9][self.place] for row in self.rows.tolist()])
        self.place += 1
        return torch.nn.functional.one_hot(said, 10).float()


def test_rows_finish_at_a_stop_token_or_at_the_limit():
    decoder = Scripted([[3, END], [4, 5, 6, 7], [END], [8, 9, END]])
    assert dict(decode_greedily(decoder, {END}, 4)) == {0: [3], 1: [4, 5, 6, 7], 2: [], 3: [8, 9]}
    assert decoder.room == 3


def test_finished_rows_leave_the_batch():
    decoder = Scripted([[3, END], [4, 5, 6, 7], [END], [8, 9, END]])
    list(decode_greedily(decoder, {END}, 4))
    assert decoder.asked == [[0, 1, 2, 3], [0, 1, 3], [1, 3], [1]]


def test_a_few_finished_rows_stay_until_it_pays_to_drop_them():
    decoder = Scripted([[END], *([[1, 2, END]] * 19)])
    assert len(dict(decode_greedily(decoder, {END}, 5))) == 20
    assert [len(rows) for rows in decoder.asked] == [20, 20, 20]


def test_where_steps_are_captured_rows_stay_until_half_of_them_have_finished():
    decoder = Scripted([*[[END]] * 9, *([[1, END]] * 3), *([[1, 2, END]] * 8)])
    decoder.steady = True
    assert len(dict(decode_greedily(decoder, {END}, 5))) == 20
    assert [len(rows) for rows in decoder.asked] == [20, 20, 8]


def test_answers_come_as_they_finish():
    decoder = Scripted([[1, 2, 3, END], [END], [4, END]])
    assert [row for row, _ in decode_greedily(decoder, {END}, 9)] == [1, 2, 0]


def test_several_stop_tokens_and_a_limit_of_one():
    decoder = Scripted([[1], [2], [3]])
    assert dict(decode_greedily(decoder, {END, 2}, 1)) == {0: [1], 1: [], 2: [3]}


def test_rows_that_are_lost_end_at_once():
    decoder = Scripted([[1, 2, 3, END], [4, 5, 6, END], [7, END]])
    found = dict(decode_greedily(decoder, {END}, 9, lambda row, tokens: row == 0 and len(tokens) == 2))
    assert found == {0: [1, 2], 1: [4, 5, 6], 2: [7]}


class _Waits(TorchFunctionMode):
    """Notes what waits for a GPU, were the tensors there."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, function, types, given=(), keywords=None):
        name = getattr(function, "__name__", "")
        if name in ("tolist", "item", "nonzero", "isin", "unique", "__bool__", "__int__", "__float__"):
            self.seen.append(name)
        return function(*given, **(keywords or {}))


class Prepared:
    """A decoder whose answers are there beforehand: token `1` until a row's end."""

    steady = False

    def __init__(self, lengths):
        said = torch.tensor([[END if place >= length else 1 for length in lengths] for place in range(9)])
        self.logits, self.rows, self.place = torch.nn.functional.one_hot(said, 10).float(), None, 0

    def prefill(self, room):
        self.rows = torch.arange(self.logits.shape[1])
        return self.logits[0]

    def step(self, tokens):
        self.place += 1
        return self.logits[self.place][self.rows]

    def keep(self, rows):
        self.rows = self.rows[rows]


@pytest.mark.parametrize("early", [None, lambda row, tokens: row == 2 and len(tokens) == 2])
def test_a_step_waits_once_whatever_finishes(early):
    with _Waits() as waits:
        found = dict(decode_greedily(Prepared([1, 3, 4, 4, 0, 6]), {END}, 9, early))
    assert {row: len(tokens) for row, tokens in found.items()} == {
        0: 1, 1: 3, 2: 2 if early else 4, 3: 4, 4: 0, 5: 6
    }  # fmt: skip
    assert waits.seen == ["tolist"] * 7  # six tokens and an end
