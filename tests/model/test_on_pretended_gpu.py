"""What `python -m benchmarks gpu` asks of a GPU, on one that is not there: no tensor lies on the wrong device."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from benchmarks.recorded_steps import RecordedSteps

from benchmarks import gpu_equality
from instruct_ablate.model import cuda_attention
from instruct_ablate.model.decoding.layers import step_graph
from instruct_ablate.model.training.layers.adapted_layers import with_adapters
from instruct_ablate.model.training.layers.joined_layers import Passing
from tests.model.pretended_gpu import GPU, brought, pretended, up
from tests.model.pretended_machine import flash_attention
from tests.model.training.layers.test_adapted_layers import layer, states

GIVEN = Namespace(device="cuda", small=True)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own = gpu_equality.make_checkpoint

    def make(name: str, dtype: torch.dtype, device: str, small: bool, std: float = 0.02) -> Any:
        made = own(name, dtype, "cpu", small, std)
        brought(made.model)
        return made

    monkeypatch.setattr(gpu_equality, "make_checkpoint", make)
    monkeypatch.setattr(cuda_attention, "flash_attention", flash_attention)
    monkeypatch.setitem(step_graph.CAPTURES, "cuda", RecordedSteps)
    cuda_attention._works.cache_clear()
    with pretended():
        yield
    cuda_attention._works.cache_clear()


def told(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        what: values for what, values in found.items() if "error" in values or values.get("equal") is False
    }


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("name", gpu_equality.FAMILIES)
def test_losses_and_gradients(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpu_equality, "_families", lambda _: [name])
    found = dict(gpu_equality.losses(GIVEN))
    assert len(found) >= 4
    assert told(found) == {}
    assert "FlashAttention is not to be had" not in caplog.text


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("name", gpu_equality.FAMILIES[:2])
def test_answers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_equality, "_families", lambda _: [name])
    monkeypatch.setattr(gpu_equality, "PRECISIONS", {"fp32": torch.float32})
    found = dict(gpu_equality.answers(GIVEN))
    assert len(found) == 4
    assert told(found) == {}


@pytest.mark.usefixtures("gpu")
def test_adapters_of_joined_cells() -> None:
    made = [layer(torch.bfloat16, rank=rank) for rank in (2, 8, 4)]
    for one in made:
        one.base_layer = made[0].base_layer
    lengths, given = [40, 30, 80], states(torch.bfloat16).detach()
    wanted = with_adapters(made[0].base_layer, given, list(zip(lengths, made, strict=True)))
    for one in made:
        brought(one)
    laid = Passing().beside(lengths, GPU)
    found = with_adapters(made[0].base_layer, up(given), list(zip(lengths, made, strict=True)), laid)
    assert found.device == GPU
    torch.testing.assert_close(found.detach().cpu(), wanted.detach())


@pytest.mark.usefixtures("gpu")
def test_what_a_gpu_refuses_is_refused() -> None:
    there, here = torch.ones(3, device="cuda"), torch.ones(3)
    assert (there.device, here.device.type, there.cpu().device.type) == (GPU, "cpu", "cpu")
    assert (there + 1).tolist() == [2.0] * 3
    with pytest.raises(RuntimeError, match="on one device"):
        there + here
    with pytest.raises(RuntimeError, match="on one device"):
        there + torch.arange(3).float().exp()
    with pytest.raises(TypeError, match="to numpy"):
        there.numpy()
    assert (there + here.to("cuda")).device == GPU


@pytest.mark.usefixtures("gpu")
def test_offsets_left_on_the_processor_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So such a fault in the package would be."""
    own = cuda_attention.moved
    monkeypatch.setattr(
        "instruct_ablate.model.training.layers.adapted_layers.moved",
        lambda rows, there, back: own(rows, torch.arange(len(there)), back),
    )
    with pytest.raises(RuntimeError, match="on one device"):
        test_adapters_of_joined_cells()
