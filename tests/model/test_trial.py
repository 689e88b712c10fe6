from __future__ import annotations

import torch

from instruct_ablate.model.trial import WINDOW, agree, short_windows, trial_tokens
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
