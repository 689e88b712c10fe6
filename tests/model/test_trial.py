from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch

from instruct_ablate.model.trial import WINDOW, agree, proven, short_windows, trial_tokens, tried_alike
from tests.model.windows import make_model


def test_windows_are_short_in_layers_and_masks_and_long_again_afterwards() -> None:
    model = make_model("qwen3", sliding_window=100)
    sliding, full = (layer.self_attn for layer in model.model.layers)
    ids = torch.tensor([trial_tokens(model, 12)])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with short_windows(model):
            assert (model.config.sliding_window, sliding.sliding_window) == (WINDOW, WINDOW)
            assert full.sliding_window is None
            within = model(input_ids=ids).logits
        assert torch.equal(model(input_ids=ids).logits, before)
    assert sliding.sliding_window == model.config.sliding_window == 100
    assert torch.allclose(within[:, :WINDOW], before[:, :WINDOW], atol=1e-5)
    assert not torch.allclose(within[:, WINDOW:], before[:, WINDOW:], atol=1e-2)


def test_rounding_is_forgiven_as_far_as_a_precision_rounds() -> None:
    wanted = torch.linspace(-2, 2, 50)
    assert agree(wanted + 1e-3, wanted)
    assert not agree(wanted + 0.1, wanted)
    assert agree((wanted + 0.1).bfloat16(), wanted.bfloat16())
    assert not agree((wanted + 1).bfloat16(), wanted.bfloat16())


def test_the_same_trial_of_the_same_weights_is_held_once() -> None:
    model, held = make_model("qwen3"), []

    def trial(model: Any, strict: bool) -> bool:
        held.append(strict)
        return strict

    for _ in range(2):
        assert proven(partial(trial, strict=True), model)
        assert not proven(partial(trial, strict=False), model)
    assert held == [True, False]
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    assert proven(partial(trial, strict=True), model)
    assert held == [True, False, True]
    model.lm_head = torch.nn.Linear(2, 2)
    assert proven(partial(trial, strict=True), model)
    assert len(held) == 4
    assert proven(partial(trial, strict=True), make_model("qwen3"))
    assert len(held) == 5


def test_a_copy_shares_what_was_tried_until_it_is_trained() -> None:
    model, held = make_model("qwen3"), []

    def trial(model: Any) -> bool:
        held.append(model)
        return True

    first, second, trained = (copy.deepcopy(model) for _ in range(3))
    for one in (first, second, trained):
        tried_alike(model, one)
    with torch.no_grad():
        next(trained.parameters()).mul_(2)
    assert [proven(trial, one) for one in (first, second, model)] == [True] * 3
    assert held == [first]
    proven(trial, trained)
    assert held == [first, trained]


def test_a_trial_that_failed_in_few_bits_and_passed_in_fp32_has_passed_for_good() -> None:
    model, held = make_model("qwen3").bfloat16(), []

    def trial(model: Any) -> bool:
        held.append(next(model.parameters()).dtype)
        return held[-1] == torch.float32

    assert proven(trial, model)
    assert proven(trial, model)
    assert held == [torch.bfloat16, torch.float32]
