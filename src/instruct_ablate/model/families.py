"""Families of models by `model_type`: whose layers are known here, and which have an encoder."""

from __future__ import annotations

from typing import Literal

Kind = Literal["encoder-decoder", "decoder-only"]
T5_LIKE = ("t5", "mt5", "umt5")  # T5's layers as packed training and decoding know them
# Configurations that may leave `is_encoder_decoder` to their class.
ENCODER_DECODERS = frozenset(
    {*T5_LIKE, "t5gemma", "t5gemma2", "longt5", "switch_transformers", "bart", "mbart", "pegasus", "led"}
)
