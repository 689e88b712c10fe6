from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.counting import Part, Work
from benchmarks.kernels import Kernels, rounded

from benchmarks import kernels
from tests.model.decoding_cases import make_checkpoint


def test_rates_are_taken_at_no_less_than_is_asked_for() -> None:
    sizes = (0, 1, 2, 3, 255, 256, 257, 2048, 10**6)
    assert [rounded("products", size) for size in sizes] == [1, 1, 2, 4, 256, 256, 512, 2048, 2048]
    assert [rounded("attention", size) for size in (0, 1, 64, 65, 300, 10**6)] == [64, 64, 64, 128, 320, 2048]


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_t5"])
@pytest.mark.parametrize("back", ["none", "inputs", "all"])
def test_each_kind_has_a_rate(name: str, back: str, tmp_path: Path) -> None:
    found = Kernels(make_checkpoint(name, tmp_path).model, repetitions=1)
    assert all(found.rate(kind, 16, back) > 0 for kind in ("products", "attention", "output"))
    assert set(found.told()) == {
        f"{kind} of {64 if kind == 'attention' else 16}{'' if back == 'none' else f', gradients of {back}'}"
        for kind in ("products", "attention", "output")
    }


def test_rates_count_what_is_multiplied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against PyTorch's counter; of a causal square half is counted."""
    from torch.utils.flop_counter import FlopCounterMode

    monkeypatch.setattr(kernels, "MOST", 16)
    monkeypatch.setattr(kernels, "BLOCK", 8)
    counted: list[int] = []

    def once(run: object, *_: object) -> float:
        with FlopCounterMode(display=False) as passes:
            run()  # type: ignore[operator]
        counted.append(passes.get_total_flops())
        return 1.0

    monkeypatch.setattr(kernels, "median_time", once)
    model = make_checkpoint("tiny_llama", tmp_path).model
    for back in ("none", "inputs", "all"):
        found = Kernels(model)
        assert found.rate("products", 16, back) == counted[-1]
        assert found.rate("output", 16, back) == counted[-1]
    monkeypatch.setattr(kernels, "ENOUGH", 1)
    assert 0 < Kernels(model).rate("products", 16) < counted[0]  # a quarter of the weights
    found = Kernels(make_checkpoint("tiny_t5", tmp_path / "t5").model)
    # PyTorch's counter knows blocks alone. The scores are made once more on the way back: seven products for six.
    assert found.rate("attention", 8, "all") * 7 / 6 == pytest.approx(counted[-1])


def test_seconds_are_those_of_each_part_at_its_own_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int, str]] = []

    def rate(_: Kernels, kind: str, size: int, back: str) -> float:
        asked.append((kind, size, back))
        return {"products": 10.0, "attention": 2.0, "output": 5.0}[kind]

    monkeypatch.setattr(Kernels, "rate", rate)
    found = Kernels(None)
    parts = [Part(Work(30.0, 4.0, 10.0), 7, 5, "all"), Part(Work(10.0), 3, 2)]
    assert found.seconds(parts) == 3 + 2 + 2 + 1
    assert asked == [
        ("products", 7, "all"),
        ("attention", 5, "all"),
        ("output", 7, "all"),
        ("products", 3, "none"),
    ]
