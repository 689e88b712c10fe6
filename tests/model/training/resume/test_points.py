"""What a point puts back: attention, modes, cache, random generators, threads."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from instruct_ablate.model.training.loss import packed_attention_of
from instruct_ablate.model.training.resume.best_weights import BestWeights
from instruct_ablate.model.training.resume.points import Plan, Points
from instruct_ablate.model.transformers_internals import bias_attentions
from tests.model.fits import NAMES, load, make_config


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_as_if_it_had_been_tested(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model: Any = load(make_config(tmp_path_factory.getbasetemp() / "cache", name)).model.train()
    loaded, model.config.use_cache = model.config._attn_implementation, False
    seen: list[int] = []

    def test(step: int) -> dict[str, float]:
        seen.append(step)
        assert not model.training
        assert model.config._attn_implementation == loaded
        if name == "tiny_t5":
            assert "compute_bias" not in vars(bias_attentions(model.get_encoder())[0])
        model.config.use_cache = True
        torch.rand(1), random.random(), np.random.rand()
        torch.set_num_threads(2)
        return {}

    threads = torch.get_num_threads()
    with packed_attention_of(model) as attention:
        packed = model.config._attn_implementation
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
        points = Points(Plan({2}, test), model, attention, 0, BestWeights(tmp_path))
        trainer: Any = SimpleNamespace(is_global_zero=True)
        module: Any = None
        for step in (1, 2):
            points._take(trainer, module, step)
        trainer.is_global_zero = False
        points._take(trainer, module, 2)
        assert model.config._attn_implementation == packed != loaded
        if name == "tiny_t5":
            assert "compute_bias" in vars(bias_attentions(model.get_encoder())[0])
    assert seen == [2]
    assert points.seconds > 0
    assert model.training
    assert all(part.training for part in model.modules())
    assert not model.config.use_cache
    assert torch.get_num_threads() == threads
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[union-attr]
    assert model.config._attn_implementation == loaded
