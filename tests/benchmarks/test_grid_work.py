"""A grid's arithmetic, held against PyTorch's counter and against sets of beginnings that share no code with it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from benchmarks.counting import Layer, Pair, Sizes, Work, forward, training, work_of
from benchmarks.grid_work import Adapters, CellWork, full_tuning, top_adapters

# Keys and values cost 4 multiply-adds a token, all else 9, of which queries are 3; attention has 2 channels.
SIZES = Sizes((Layer(4, 9, 2), Layer(4, 9, 2), Layer(4, 9, 2)), 7)
# Beside them 1 and 2 of adapters, 50 to fold a layer's in, and 1 that the lowest layer does not need.
ADAPTERS = Adapters(2, Layer(1, 2, 0), 3, 50, 1)


def draw(seed: int, tasks: int = 3, each: int = 3) -> list[Pair]:
    """Prompts of some tasks, each behind its task's beginning."""
    drawn = random.Random(seed)
    heads = [tuple(drawn.choices(range(3), k=4)) for _ in range(tasks)]

    def some(most: int) -> tuple[int, ...]:
        return tuple(drawn.choices(range(3), k=drawn.randint(1, most)))

    return [((*head, *some(4)), some(3)) for head in heads for _ in range(each)]


def cell(*seeds: int, tested: int = 90) -> CellWork:
    return CellWork(tuple(tuple(draw(seed)) for seed in seeds), tuple(draw(tested, 2, 4)))


GRID = [cell(), cell(1, 2), cell(3, 1), cell(1, 4, 5)]


def read(pairs: list[Pair]) -> set[tuple[int, ...]]:
    return {(*source, *target)[:n] for source, target in pairs for n in range(1, len(source) + len(target))}


def used(pairs: list[Pair]) -> set[tuple[int, ...]]:
    return {
        (*source, *target)[:n]
        for source, target in pairs
        for n in range(len(source), len(source) + len(target))
    }


def layers(
    keys: int, rest: int, width: int, seen: set[tuple[int, ...]], asked: set[tuple[int, ...]]
) -> float:
    return 2 * keys * len(seen) + 2 * rest * len(asked) + 4 * width * sum(map(len, asked))


def whole(pairs: list[Pair]) -> float:
    seen, asked = read(pairs), used(pairs)
    return 2 * layers(4, 9, 2, seen, seen) + layers(4, 9, 2, seen, asked) + 2 * 7 * len(asked)


def test_full_tuning_shares_what_the_first_weights_give() -> None:
    first = [pair for one in GRID for step in one.steps[:1] for pair in step]
    later = [list(step) for one in GRID for step in one.steps[1:]]
    wanted = whole([*first, *GRID[0].tested]) + 2 * whole(first)
    wanted += 3 * sum(map(whole, later)) + 3 * whole(list(GRID[0].tested))
    assert work_of(full_tuning(SIZES, GRID)).total == wanted
    alone = sum(work_of(full_tuning(SIZES, [one])).total for one in GRID)
    assert wanted < alone  # three cells begin with steps that share examples


def test_one_cell_shares_nothing_but_within_its_steps_and_its_test() -> None:
    (one,) = [cell(1, 2)]
    wanted = training(SIZES, one.steps) + forward(SIZES, one.tested)
    assert work_of(full_tuning(SIZES, [one])).total == wanted.total


def test_frozen_layers_are_passed_once_in_the_whole_grid() -> None:
    every = [pair for one in GRID for part in (*one.steps, one.tested) for pair in part]
    first = [pair for one in GRID for step in one.steps[:1] for pair in step]
    seen = read(every)
    wanted = layers(4, 9, 2, seen, seen) + 2 * (4 + 3) * len(seen)  # one layer; the next one's products

    def above(pairs: list[Pair], attention: int = 1) -> float:
        tokens, asked = read(pairs), used(pairs)
        return (
            layers(0, 6, 2 * attention, tokens, tokens)
            + layers(4, 9, 2 * attention, tokens, asked)
            + 2 * 7 * len(asked)
        )

    def beside(pairs: list[Pair]) -> float:
        return layers(1, 2, 0, read(pairs), read(pairs)) + layers(1, 2, 0, read(pairs), used(pairs))

    wanted += above([*first, *GRID[0].tested]) + above(first, 2) + beside(first)
    for step in (list(step) for one in GRID for step in one.steps[1:]):
        wanted += above(step) + above(step, 2) + 3 * beside(step) - 2 * 1 * len(read(step))
    tested = list(GRID[0].tested)
    wanted += 3 * (above(tested) + min(beside(tested), 2.0 * 50 * 2))
    assert work_of(top_adapters(SIZES, ADAPTERS, GRID)).total == wanted


def test_the_cheaper_way_of_adapters_is_taken_in_a_test() -> None:
    dear, cheap = (Adapters(2, Layer(1, 2, 0), 3, folding, 1) for folding in (10**6, 1))
    (one,) = [cell(1)]
    more = work_of(top_adapters(SIZES, dear, [one])) - work_of(top_adapters(SIZES, cheap, [one]))
    tokens, asked = read(list(one.tested)), used(list(one.tested))
    assert more.total == 2 * 3 * len(tokens) + 2 * len(tokens) + 2 * 2 * len(asked) - 2 * 2 * 1


def test_one_layer_may_be_the_lowest_and_the_last() -> None:
    one = CellWork((), tuple(draw(1)))
    top = Adapters(1, Layer(0, 0, 0), 3, 0, 0)
    assert work_of(top_adapters(SIZES, top, [one])).total == forward(SIZES, one.tested).total


def tiny_config(layers: int) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        hidden_size=8, intermediate_size=12, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=40, tie_word_embeddings=False, attn_implementation="eager",
    )  # fmt: skip


def test_gradients_of_adapters_are_counted_as_pytorch_counts_them() -> None:
    """Two steps that share nothing, all of whose tokens predict: what the second adds is what its passes do."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import LlamaForCausalLM

    from instruct_ablate.model.training.lora import adapt
    from instruct_ablate.schema import MethodConfig

    config = tiny_config(3)
    adapted = adapt(LlamaForCausalLM(config), MethodConfig(name="lora", rank=3, layers="top:2"), seed=0)
    sizes, adapters = Sizes.of(config), Adapters.of(config, 2, 3)
    source, target = (1,), tuple(range(2, 9))
    first = CellWork((((((20,), (21, 22))),),), ())
    both = CellWork((*first.steps, ((source, target),)), ())
    added = work_of(top_adapters(sizes, adapters, [both])) - work_of(top_adapters(sizes, adapters, [first]))
    ids = torch.tensor([[*source, *target[:-1]]])
    with FlopCounterMode(display=False) as passes:
        logits = adapted(input_ids=ids).logits
        torch.nn.functional.cross_entropy(logits[0], torch.tensor(target)).backward()
    # Three layers forward and two backward, of whose causal squares PyTorch computes the whole; two products each.
    other_half = 4 * 8 * (7 * 7 - 7 * 8 // 2)
    assert passes.get_total_flops() == added.total + other_half * (3 + 2 * 2)

    tested = CellWork(first.steps, ((source, target[:3]),))
    with FlopCounterMode(display=False) as passes, torch.no_grad():
        adapted(input_ids=ids[:, :3])
    added = work_of(top_adapters(sizes, adapters, [tested])) - work_of(top_adapters(sizes, adapters, [first]))
    other_half = 4 * 8 * (3 * 3 - 3 * 4 // 2)
    assert (
        passes.get_total_flops() == added.total + other_half * 3
    )  # folding in would take more for three tokens
    with FlopCounterMode(display=False) as folding, torch.no_grad():
        adapted.merge_and_unload()
    assert folding.get_total_flops() == 2 * adapters.folding * 2


def test_full_tuning_is_counted_as_pytorch_counts_it() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import LlamaForCausalLM

    config = tiny_config(2)
    model = LlamaForCausalLM(config)
    steps = [(((1,), (2, 3, 4)),), (((5,), (6, 7)),)]
    tested = ((8,), (9, 10, 11, 12))
    with FlopCounterMode(display=False) as passes:
        for ((source, target),) in steps:
            logits = model(input_ids=torch.tensor([[*source, *target[:-1]]])).logits
            torch.nn.functional.cross_entropy(logits[0], torch.tensor(target)).backward()
        with torch.no_grad():
            model(input_ids=torch.tensor([[*tested[0], *tested[1][:-1]]]))
    found = work_of(full_tuning(Sizes.of(config), [CellWork(tuple(steps), (tested,))])).total
    other_half = sum(2 * 4 * 8 * times * (n * n - n * (n + 1) // 2) for n, times in ((3, 3), (2, 3), (4, 1)))
    assert passes.get_total_flops() == found + other_half


def test_parts_say_how_many_rows_go_together() -> None:
    found = full_tuning(SIZES, [cell(), cell(1, 2)])
    assert {part.back for part in found} == {"none", "all"}
    later = [part for part in found if part.back == "all"][1]
    assert later.rows == len(read(draw(2)))
    assert later.work == training(SIZES, [draw(2)])
    steps = [part.rows for part in found if part.back == "none"][-3:]
    assert steps[0] > steps[1] >= steps[2] > 0  # reading, then a token a pass
    assert sum((part.work for part in found), Work()) == work_of(found)
