from __future__ import annotations

import random

import pytest
from benchmarks.counting import Layer, Sizes, Work, forward
from benchmarks.passes import Pass, of_greedy, of_labels

# Two layers: keys and values cost 3 multiply-adds a token, all else 5, attention has 2 channels, a token's key and
# value have 10 values; 7 for the logits.
DECODER = Sizes((Layer(3, 5, 2, kept=10), Layer(3, 5, 2, kept=10)), 7)
WEIGHTS = 2 * (3 + 5) + 7
# A task's head 1 2, behind it 3 and 4, and a stranger; answers of three tokens, one and two.
THREE = [((1, 2, 3), (8, 9, 6)), ((1, 2, 4), (9,)), ((5,), (9, 8))]


def test_passes_over_three_prompts_are_counted_by_hand() -> None:
    reading, first, second = of_greedy(DECODER, THREE)
    # 1 2 3, 4 behind 1 2, and 5: 5 tokens, of which 3, 4 and 5 predict; they see 1+2+3+3+1, those that predict 7.
    assert reading == Pass(Work(2 * (5 * 8 + 5 * 3 + 3 * 5), 4 * 2 * (10 + 7), 2 * 3 * 7), WEIGHTS)
    # 8 behind 1 2 3, and 9 behind 5, see 4 and 2 tokens, themselves included: keys of 1, 2, 3 and 5 are read.
    assert first == Pass(Work(2 * 2 * (8 + 8), 2 * 4 * 2 * 6, 2 * 2 * 7), WEIGHTS + 2 * 10 * 4)
    # 9 behind 1 2 3 8 sees 5.
    assert second == Pass(Work(2 * (8 + 8), 2 * 4 * 2 * 5, 2 * 7), WEIGHTS + 2 * 10 * 4)


def test_keys_of_a_shared_head_are_read_once_a_pass() -> None:
    both = of_greedy(DECODER, [((1, 2, 3), (8, 9)), ((1, 2, 4), (8, 9))])
    assert both[1].values == WEIGHTS + 2 * 10 * 4  # of 1, 2, 3 and 4
    same = of_greedy(DECODER, [((1, 2, 3), (8, 9)), ((1, 2, 3), (8, 7))])
    assert same[1] == of_greedy(DECODER, [((1, 2, 3), (8, 9))])[1]


def test_a_window_bounds_what_is_read() -> None:
    narrow = Sizes((Layer(3, 5, 2, window=2, kept=10), Layer(3, 5, 2, kept=10)), 7)
    assert of_greedy(narrow, THREE)[1].values == WEIGHTS + 10 * 2 + 10 * 4  # of 3 and 5; of 1, 2, 3 and 5


def test_what_another_prompt_holds_is_read_with_it() -> None:
    # 2 is predicted behind 1, but known from the second prompt: so is what follows it, one pass earlier.
    reading, step = of_greedy(DECODER, [((1,), (2, 3, 4)), ((1, 2), (7,))])
    assert reading.work.output == 2 * 2 * 7
    assert step.values == WEIGHTS + 2 * 10 * 2
    assert step.work.output == 2 * 7


def test_t5_s_passes_are_counted_by_hand() -> None:
    sizes = Sizes((Layer(3, 5, 2, kept=10),), 7, (Layer(3, 6, 2, kept=10),), (Layer(1, 4, 2, kept=20),))
    pairs = [((1, 2, 3), (8, 9)), ((1, 2, 3), (8, 7)), ((1, 2), (9,))]
    encoder, start, step = of_greedy(sizes, pairs)
    # The encoder's 3 and 2 tokens see 3 and 2; keys of the sources are made there.
    assert encoder == Pass(Work(2 * (5 * 9 + 5 * 1), 4 * 2 * (9 + 4)), 9 + 1)
    # A start token for each source sees itself and the source; keys of 3 and 2 source tokens are read.
    seen = 4 * 2 * (1 + 1 + 3 + 2)
    assert start == Pass(Work(2 * 2 * (8 + 4), seen, 2 * 2 * 7), 8 + 4 + 7 + 20 * 5)
    # 8 behind the first source's start, both targets at once: the second source has ended, and is not read.
    assert step == Pass(Work(2 * (8 + 4), 4 * 2 * (2 + 3), 2 * 7), 8 + 4 + 7 + 20 * 3 + 10)


def test_labels_are_scored_in_one_pass() -> None:
    assert of_labels(DECODER, THREE) == [Pass(forward(DECODER, THREE), WEIGHTS)]


@pytest.mark.parametrize("encoder", [True, False])
def test_passes_compute_what_is_counted_in_all(encoder: bool) -> None:
    draw = random.Random(0)
    tokens = [draw.choices(range(3), k=draw.randint(1, 6)) for _ in range(80)]
    pairs = [(one, other) for one, other in zip(tokens[::2], tokens[1::2], strict=True)]
    own = (Layer(3, 5, 2, kept=10), Layer(4, 6, 2, window=3, kept=10), Layer(3, 5, 2, kept=10))
    sides = ((Layer(3, 6, 2),), (Layer(1, 4, 2),) * 3) if encoder else ()
    sizes = Sizes(own, 7, *sides)
    passes = of_greedy(sizes, pairs)
    assert len(passes) > 4
    assert sum((one.work for one in passes), Work()) == forward(sizes, pairs)


def test_a_pass_takes_the_longer_of_computing_and_reading() -> None:
    one = Pass(Work(30.0, 6.0, 24.0), 100)
    assert one.seconds(10.0, 50.0) == 6.0
    assert not one.bound_by_reading(10.0, 50.0)
    assert one.seconds(60.0, 50.0) == 2.0
    assert one.bound_by_reading(60.0, 50.0)
