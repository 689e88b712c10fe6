"""What the system tells of the processor: read of the first one, and told apart by all that decides bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from instruct_ablate.model import processor
from instruct_ablate.model.processor import device_name, instruction_sets, processor_kind, processor_name

X86 = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Some Xeon\n"
    "flags\t\t: fpu avx512f amx_bf16\n"
)
ARM = "processor\t: 0\nBogoMIPS\t: 50\nFeatures\t: fp bf16\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n"


@pytest.fixture
def info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the system says; nothing until a test writes it."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "INFO", path)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "some_machine")
    return path


def test_the_first_processor_is_what_counts(info: Path) -> None:
    info.write_text(f"{X86}\n{X86.replace('Some Xeon', 'Other').replace('amx_bf16', 'sse')}")
    assert instruction_sets() == {"fpu", "avx512f", "amx_bf16"}
    assert processor_name() == device_name(torch.device("cpu")) == "Some Xeon"


@pytest.mark.parametrize("content", [None, "", "nothing here\n", b"\xff\xfe: \xff\n"])
def test_a_system_that_tells_nothing_has_the_machine_s_name(info: Path, content: str | bytes | None) -> None:
    if content is not None:
        info.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert instruction_sets() == frozenset()
    assert processor_name() == "some_machine"
    assert processor_kind()[:2] == ("some_machine", "")


@pytest.mark.parametrize(
    ("told", "change"),
    [
        (X86, ("GenuineIntel", "AuthenticAMD")),
        (X86, ("family\t: 6", "family\t: 25")),
        (X86, (": 143", ": 106")),
        (X86, ("Some Xeon", "Other Xeon")),
        (X86, (" amx_bf16", "")),
        (ARM, ("0x41", "0x42")),
        (ARM, ("0xd4f", "0xd40")),
        (ARM, (" bf16", "")),
    ],
)
def test_processors_that_may_round_otherwise_are_of_another_kind(
    info: Path, told: str, change: tuple[str, str]
) -> None:
    kinds = []
    for text in (told, told.replace(*change)):
        info.write_text(text)
        kinds.append(processor_kind())
    assert kinds[0] != kinds[1]


def test_what_says_nothing_of_kernels_makes_no_other_kind(
    info: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = []
    for text in (X86, X86.replace("fpu avx512f amx_bf16", "amx_bf16 fpu avx512f") + "cpu MHz\t\t: 2100\n"):
        info.write_text(text)
        kinds.append(processor_kind())
    assert kinds[0] == kinds[1]
    for flags in (["amx", "fpu"], ["fpu", "amx"]):  # a set has another order in each process
        monkeypatch.setattr(processor, "instruction_sets", lambda flags=flags: flags)
        kinds.append(processor_kind())
    assert kinds[2] == kinds[3]


def test_another_machine_of_the_same_words_is_of_another_kind(
    info: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info.write_text(ARM)
    one = processor_kind()
    monkeypatch.setattr("platform.machine", lambda: "other_machine")
    assert processor_kind() != one
