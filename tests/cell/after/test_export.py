"""Exported cells: taken back they answer as the trained model did; what cannot be exported says what to type."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.after import export as module
from instruct_ablate.cell.after.export import check_shape, hub_id, new_folder, open_source, write_weights
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.record.predictions import read_predictions
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.command_line import group
from instruct_ablate.errors import UserError
from instruct_ablate.model.adapters import bare
from instruct_ablate.schema import (
    BudgetConfig,
    Config,
    EvaluationConfig,
    MethodConfig,
    ModelConfig,
    TasksConfig,
    TrainerConfig,
)
from tests.standins import make_config

CASES = [
    ("tiny_llama", "adapter"),
    ("tiny_t5", "full"),
    *(
        pytest.param(name, method, marks=pytest.mark.slow)
        for name, method in (
            ("tiny_llama", "full"),
            ("tiny_llama", "merged"),
            ("tiny_t5", "adapter"),
            ("tiny_t5", "merged"),
        )
    ),
]
TARGETS = {"tiny_llama": ["q_proj", "lm_head"], "tiny_t5": ["q", "lm_head"]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def cell(folder: Path, cache: Path, name: str = "tiny_llama", **changes: Any) -> Config:
    fields: dict[str, Any] = {
        "tasks": TasksConfig("starter", test_tasks=2, test_instances=2),
        "data_budget": BudgetConfig(4, tasks=2),
        "model": ModelConfig(name, source="random"),
        "method": MethodConfig("lora", rank=4, alpha=64, target_modules=TARGETS[name]),
        "trainer": TrainerConfig(
            precision="fp32", batch_size=2, accelerator="cpu", progress=False, learning_rate=1e-2
        ),
        "evaluation": EvaluationConfig(metrics=["reference_log_likelihood"]),
        "cache": str(cache),
        "keep_checkpoints": True,
        **changes,
    }
    config = make_config(folder, **fields)
    return replace(config, prompt=replace(config.prompt, max_target_length=4))


def folder_of(config: Config, record: CellRecord) -> Path:
    assert record.state == "done", record
    return Path(config.output) / config.study / record.name


def answers(config: Config) -> list[tuple[object, ...]]:
    """Run a cell; what it wrote, and how likely it found the references: no two models have all of them alike."""
    folder = folder_of(config, run_cell(config))
    rows = read_predictions(folder / "predictions" / "original.jsonl")
    return [(row.key, row.prediction, row.values) for row in rows]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_what_is_taken_back_answers_alike(tmp_path: Path, cache: Path, name: str, method: str) -> None:
    full = MethodConfig("full")
    config = cell(tmp_path, cache, name, **({"method": full} if method == "full" else {}))
    trained, target = answers(config), tmp_path / "exported"
    words = ["export", str(next(tmp_path.glob("ablation/*-s0-*"))), str(target), "--cache", str(cache)]
    done = CliRunner().invoke(
        group, [*words, *(["--merge"] if method == "merged" else [])], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert (target / "adapter_model.safetensors").exists() == (method == "adapter")
    assert not list(target.glob("*.bin"))
    untrained = replace(config, data_budget=BudgetConfig(0), method=full)
    again = replace(untrained, model=ModelConfig(str(target), path=str(target)))
    assert answers(again) == trained
    assert answers(untrained) != trained


@pytest.fixture
def kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cell that is done and whose weights were kept, trained by nobody."""
    from tests.standins import work

    config = cell(tmp_path, cache)
    folder = folder_of(config, run_cell(config, work))
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "trained.ckpt").write_bytes(b"")
    return folder


def opened(folder: Path, cache: Path) -> Any:
    record = read_record(folder)
    assert record is not None
    return open_source(folder, record, cache)


def test_weights_that_were_not_kept_are_told_how_to_get(kept: Path, cache: Path) -> None:
    (kept / "checkpoints" / "trained.ckpt").unlink()
    with pytest.raises(
        UserError, match=r"keep them: instruct-ablate train .*study=kept keep_checkpoints=true"
    ):
        opened(kept, cache)


def test_what_is_not_done_or_was_not_trained_has_no_model_of_its_own(kept: Path, cache: Path) -> None:
    record = read_record(kept)
    assert record is not None
    with pytest.raises(UserError, match="trained nothing"):
        open_source(kept, replace(record, setting=record.setting.changed(data_budget=0)), cache)
    with pytest.raises(UserError, match="is failed"):
        open_source(kept, replace(record, state="failed"), cache)


def test_a_study_cannot_have_code_run(kept: Path, cache: Path) -> None:
    config = kept / "config.yaml"
    config.write_text(config.read_text().replace("trust_remote_code: false", "trust_remote_code: true"))
    with pytest.raises(UserError, match="--trust-remote-code"):
        opened(kept, cache)


def test_another_checkpoint_than_the_one_begun_with_is_refused(kept: Path, cache: Path) -> None:
    record = read_record(kept)
    assert record is not None
    setting = replace(record.setting, revisions=(("model", "another"),))
    write_record(kept, replace(record, setting=setting))
    with pytest.raises(UserError, match="began with tiny_llama another"):
        opened(kept, cache)


def test_damaged_weights_are_told(kept: Path, cache: Path, tmp_path: Path) -> None:
    words = ["export", str(kept), str(tmp_path / "model"), "--cache", str(cache)]
    fault = CliRunner().invoke(group, words).exception
    assert isinstance(fault, UserError)
    assert "cannot be read" in str(fault)
    assert [path.name for path in tmp_path.iterdir() if "model" in path.name] == []


def test_only_an_adapter_is_merged_and_only_on_a_base_of_the_hub_is_it_uploaded(
    kept: Path, cache: Path
) -> None:
    source = opened(kept, cache)
    check_shape(source, merge=True, push=True)
    with pytest.raises(UserError, match="on no hub"):
        check_shape(source, merge=False, push=True)
    with pytest.raises(UserError, match="leave it out"):
        check_shape(replace(source, method=MethodConfig("full")), merge=True, push=False)


def test_an_adapter_on_a_base_of_the_hub_is_uploaded_as_it_is(kept: Path, cache: Path) -> None:
    hub = replace(opened(kept, cache), model=ModelConfig("m", path="org/m"))
    assert hub_id(hub.model) == "org/m"
    check_shape(hub, merge=False, push=True)
    check_shape(replace(hub, method=MethodConfig("full")), merge=False, push=True)
    own = replace(hub, model=ModelConfig("tiny_llama", source="random"))
    check_shape(own, merge=False, push=False)
    check_shape(replace(own, method=MethodConfig("full")), merge=False, push=True)
    for here in (
        ModelConfig("tiny_llama", source="random"), ModelConfig("m", source="wheel"),
        ModelConfig("m", path=str(kept)),
    ):  # fmt: skip
        assert hub_id(here) == ""


@pytest.mark.parametrize(
    ("method", "merge", "writer"),
    [
        ("lora", False, "write_adapter"),
        ("lora", True, "write_checkpoint"),
        ("full", False, "write_checkpoint"),
    ],
)
def test_what_is_written_is_read_again(
    kept: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    merge: bool,
    writer: str,
) -> None:
    calls: list[tuple[str, object, Path]] = []

    def noted(name: str) -> Any:
        return lambda checkpoint, *rest: calls.append(
            (name, checkpoint, rest[-2] if len(rest) > 1 else rest[0])
        )

    monkeypatch.setattr(module, "_trained", lambda source: "trained")
    for name in ("write_adapter", "write_checkpoint", "check_written"):
        monkeypatch.setattr(f"instruct_ablate.model.export.{name}", noted(name))
    write_weights(replace(opened(kept, cache), method=MethodConfig(method)), kept / "new", merge)
    assert calls == [(writer, "trained", kept / "new"), ("check_written", "trained", kept / "new")]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_weights_are_in_the_precision_that_they_were_tested_in(
    kept: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(
        "instruct_ablate.model.training.resume.training_state.read", lambda path: {"masters": ["kept"]}
    )
    given: list[object] = []
    monkeypatch.setattr(
        "instruct_ablate.model.training.trainable.set_weights", lambda model, masters: given.append(masters)
    )
    source = opened(kept, cache)
    made = replace(source.record.environment, precision=precision)
    trained = module._trained(replace(source, record=replace(source.record, environment=made)))
    assert given == [["kept"]]
    model: Any = trained.model
    held = {str(weight.dtype) for name, weight in model.named_parameters() if "lora" not in name}
    assert held == {f"torch.{'bfloat16' if precision == 'bf16' else 'float32'}"}
    assert not model.training
    assert bare(model).config.use_cache, "whoever generates with the folder would do without"
    with pytest.raises(UserError, match="cannot be read"):
        module._trained(replace(source, record=replace(source.record, environment=None)))


def test_a_new_folder_is_for_whoever_may_read_the_one_that_it_lies_in(tmp_path: Path) -> None:
    """`mkdtemp` makes it for its owner alone, and a link to nowhere is somebody's."""
    tmp_path.chmod(0o755)
    with new_folder(tmp_path / "model"):
        pass
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o755
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is there already"), new_folder(tmp_path / "link"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is there already"), new_folder(tmp_path / "file"):
        pass


def test_a_folder_that_holds_something_is_refused_and_one_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    with new_folder(target) as unfinished:
        (unfinished / "file").write_text("whole")
    assert (target / "file").read_text() == "whole"
    with pytest.raises(UserError, match="holds something"), new_folder(target):
        pass
    with pytest.raises(RuntimeError), new_folder(tmp_path / "other"):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
