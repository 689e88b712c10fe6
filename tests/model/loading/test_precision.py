from __future__ import annotations

from pathlib import Path

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model import processor
from instruct_ablate.model.loading.precision import DTYPES, resolve_precision


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without GPU, whose processor flags the test writes."""
    flags = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "INFO", flags)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return flags


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return monkeypatch


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [("fpu avx2 amx_bf16", "bf16"), ("fpu avx512_bf16", "bf16"), ("fpu avx2 avx512f", "fp32"), ("", "fp32")],
)
@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_a_processor_with_bf16_units(cpu: Path, flags: str, wanted: str, accelerator: str) -> None:
    cpu.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
    assert resolve_precision("auto", accelerator, encoder_decoder=False) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"), [("Features\t: fp amx_bf16", "bf16"), ("Model : amx_bf16", "fp32")]
)
def test_some_systems_call_the_flags_features(cpu: Path, line: str, wanted: str) -> None:
    cpu.write_text(f"processor : 0\n{line}\n")
    assert resolve_precision("auto", "cpu", encoder_decoder=False) == wanted


def test_a_system_that_tells_nothing_gets_fp32(cpu: Path) -> None:
    assert not cpu.exists()
    assert resolve_precision("auto", "auto", encoder_decoder=True) == "fp32"


@pytest.mark.parametrize(("capability", "wanted"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_gpus_since_ampere(gpu: pytest.MonkeyPatch, capability: tuple[int, int], wanted: str) -> None:
    gpu.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert resolve_precision("auto", "auto", encoder_decoder=True) == wanted
    assert resolve_precision("auto", "gpu", encoder_decoder=False) == wanted


def test_the_cpu_beside_a_gpu_is_looked_at_when_asked_for(gpu: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu.setattr(processor, "INFO", tmp_path / "nothing")
    assert resolve_precision("auto", "cpu", encoder_decoder=False) == "fp32"


@pytest.mark.parametrize("name", ["bf16", "fp32"])
def test_what_is_asked_for_is_given(cpu: Path, name: str) -> None:
    assert resolve_precision(name, "cpu", encoder_decoder=True) == name


def test_fp16_with_t5_is_refused_with_the_reason(gpu: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"overflow fp16.*bf16 or fp32"):
        resolve_precision("fp16", "gpu", encoder_decoder=True)
    assert resolve_precision("fp16", "gpu", encoder_decoder=False) == "fp16"


def test_fp16_needs_a_gpu(cpu: Path) -> None:
    with pytest.raises(UserError, match="needs a GPU"):
        resolve_precision("fp16", "auto", encoder_decoder=False)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown trainer.precision 'fp64'"):
        resolve_precision("fp64", "cpu", encoder_decoder=False)


def test_precisions_are_types_of_torch() -> None:
    assert {name: getattr(torch, kind) for name, kind in DTYPES.items()} == {
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
        "fp32": torch.float32,
    }
