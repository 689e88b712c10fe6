"""Families: a random configuration of each kind of encoder-decoder says the same of itself."""

from __future__ import annotations

import pytest
from transformers import AutoConfig

from instruct_ablate.model.families import ENCODER_DECODERS, T5_LIKE


@pytest.mark.parametrize("family", sorted(ENCODER_DECODERS))
def test_transformers_has_an_encoder_for_them(family: str) -> None:
    assert AutoConfig.for_model(family).is_encoder_decoder


def test_t5s_are_encoder_decoders() -> None:
    assert set(T5_LIKE) < ENCODER_DECODERS
