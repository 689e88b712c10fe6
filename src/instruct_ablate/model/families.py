"""Families of models by `model_type`: whose layers are known here, and which have an encoder."""

from __future__ import annotations

from typing import Literal

Kind = Literal["encoder-decoder", "decoder-only"]
T5_LIKE = ("t5", "mt5", "umt5")  # T5's layers as packed training and decoding know them
MERGED = ("t5gemma2",)  # T5Gemma 2's, whose decoder attends to target and source at once
PACKED_SEQ2SEQ = (*T5_LIKE, *MERGED)
# Configurations that may leave `is_encoder_decoder` to their class.
ENCODER_DECODERS = frozenset(
    {*PACKED_SEQ2SEQ, "t5gemma", "longt5", "switch_transformers", "bart", "mbart", "pegasus", "led"}
)
