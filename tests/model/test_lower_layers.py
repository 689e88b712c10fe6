"""The lowest layers left out of a pass: the same logits from their states, under a name of all that decides those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from instruct_ablate.model import lower_layers, processor
from instruct_ablate.model.lower_layers import LowerLayers
from tests.model.fits import load, make_config

IDS = torch.arange(3, 12)[None]


def made(cache: Path, name: str = "tiny_llama") -> Any:
    return load(make_config(cache, name)).model.eval()


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gpt2"])
@torch.no_grad()
def test_states_that_were_noted_take_the_place_of_the_layers(name: str, tmp_path: Path) -> None:
    model = made(tmp_path, name)
    lower, found = LowerLayers(model, 1), list[torch.Tensor]()
    with lower.noting(found):
        wanted = model(input_ids=IDS, use_cache=False).logits
    ran: list[object] = []
    part = next(lower.layers[0].children())
    hook = part.register_forward_hook(lambda *_: ran.append(1))
    with lower.giving(found[0]):
        assert torch.equal(model(input_ids=IDS, use_cache=False).logits, wanted)
        assert not ran
    with lower.giving(found[0] + 1):
        assert not torch.allclose(model(input_ids=IDS, use_cache=False).logits, wanted)
    assert torch.equal(model(input_ids=IDS, use_cache=False).logits, wanted)
    hook.remove()
    assert ran, "afterwards the layers work again"
    assert len(found) == 1, "and nothing is noted any more"


def test_what_lies_above_is_no_weight_of_them(tmp_path: Path) -> None:
    names = {name for name, _ in LowerLayers(made(tmp_path), 1).weights()}
    assert "embed_tokens.weight" in names
    assert any(name.startswith("layers.0.") for name in names)
    assert not any(name.startswith("layers.1.") for name in names)


def test_other_weights_below_have_another_name_and_others_above_the_same(tmp_path: Path) -> None:
    lower = LowerLayers(made(tmp_path), 1)
    first = lower.name(1)
    assert first == lower.name(1) == LowerLayers(made(tmp_path), 1).name(1)
    with torch.no_grad():
        next(iter(lower.above.parameters())).add_(1.0)
        assert lower.name(1) == first
        next(iter(lower.layers[0].parameters())).view(-1)[0].add_(2.0**-10)
    assert lower.name(1) != first


@pytest.mark.parametrize("changed", ["further", "settings", "torch", "threads"])
def test_whatever_else_decides_bits_is_in_the_name(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower = LowerLayers(made(tmp_path), 1)
    first, further = lower.name("format 1"), "format 1"
    if changed == "further":
        further = "format 2"
    elif changed == "settings":
        lower.model.config.rms_norm_eps *= 2
    elif changed == "torch":
        monkeypatch.setattr(lower_layers.torch, "__version__", "0.0")
    else:
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert lower.name(further) != first


def test_where_a_model_was_read_from_does_not_count(tmp_path: Path) -> None:
    lower = LowerLayers(made(tmp_path), 1)
    first = lower.name()
    lower.model.config.name_or_path = "elsewhere"
    lower.model.config.use_cache = not lower.model.config.use_cache
    assert lower.name() == first


def test_another_processor_reads_none_of_what_this_one_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower = LowerLayers(made(tmp_path), 1)
    info, names = tmp_path / "cpuinfo", [lower.name()]
    for flags in ("avx512_bf16", "avx512_bf16 amx_bf16"):  # torch calls both AVX512
        info.write_text(f"processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t: 143\nflags\t: {flags}\n")
        monkeypatch.setattr(processor, "INFO", info)
        names.append(lower.name())
    assert len(set(names)) == 3
