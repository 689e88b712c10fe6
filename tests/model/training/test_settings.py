from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.training.settings import (
    check_dropout,
    check_points,
    check_prompt_weight,
    check_shared,
    check_trainer,
)
from instruct_ablate.process.processes import RANKS
from instruct_ablate.schema import DataConfig, EvaluationConfig, TrainerConfig
from tests.model.fits import changed, make_config


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for names in RANKS for name in names]:
        monkeypatch.delenv(name, raising=False)


def test_one_device_needs_no_launcher(tmp_path: Path) -> None:
    check_trainer(make_config(tmp_path))
    check_trainer(make_config(tmp_path, strategy="ddp"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strategy": "dpp"}, "did you mean 'ddp'"),
        ({"devices": 0}, "must be at least 1"),
        ({"num_nodes": 0}, "must be at least 1"),
        ({"checkpoint_every_steps": 0}, "checkpoint_every_steps"),
        ({"optimizer": "sgd"}, "optimizer"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        check_trainer(make_config(tmp_path, **settings))


EDGES = {
    "trainer.learning_rate": ((1e-300, 100.0), (0.0, 100.1)),
    "trainer.warmup_steps": ((0, 2**31 - 1), (-1, 2**31)),
    "trainer.weight_decay": ((0.0, 100.0), (-1e-9, 100.1)),
    "trainer.gradient_clip": ((1e-300, None), (0.0, float("inf"), 2.0**31)),
    "trainer.devices": ((1,), (0, 2**16 + 1)),
    "trainer.num_nodes": ((1,), (0, 2**16 + 1)),
    "trainer.checkpoint_every_steps": ((1,), (0,)),
    "trainer.threads": ((1, 1024, None), (0, 1025)),
    "trainer.optimizer": (("adamw", "adafactor"), ("sgd",)),
    "trainer.schedule": (("constant", "linear"), ("cosine",)),
    "trainer.precision": (("auto", "bf16", "fp32", "fp16"), ("fp8",)),
    "trainer.accelerator": (("auto", "cpu", "gpu", "cuda"), ("gpuu", "tpu")),
    "trainer.strategy": (("auto", "ddp", "fsdp"), ("dp",)),
    "trainer.loss": (("per_token", "per_example"), ("per_batch",)),
    "trainer.prompt_loss_weight": ((0.0, 1.0), (-0.001, 1.001)),
    "method.target": (("all_linear", "attention"), ("mlp",)),
    "method.layers": (("all",), ("top:0", "top", "8")),
    "method.learning_rate_factor": ((1e-300, 10_000.0), (0.0, 10_001.0)),
    "method.name": (("full", "lora"), ("prefix",)),
    "method.rank": ((1, 2**16), (0, 2**16 + 1)),
    "method.alpha": ((1, 2**20), (0, 2**20 + 1)),
    "method.dropout": ((0.0, 0.999), (-0.001, 1.0)),
    "method.target_modules": (([], [200 * "x"]), ([201 * "x"], [""])),
    "data.group_size": ((1,), (0,)),
    "trainer.batch_size": ((1,), (0,)),
}


@pytest.mark.parametrize("key", EDGES)
def test_the_ends_of_what_is_allowed(key: str, tmp_path: Path) -> None:
    group, _, name = key.partition(".")
    good, bad = EDGES[key]
    for value in good:
        check_trainer(changed(make_config(tmp_path), **{group: {name: value}}))
    for value in bad:
        with pytest.raises(UserError, match=rf"{group}\.{name}"):
            check_trainer(changed(make_config(tmp_path), **{group: {name: value}}))


def test_as_many_processes_may_be_asked_for_as_were_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", str(2**16))
    check_trainer(make_config(tmp_path, devices=2**16))
    check_trainer(make_config(tmp_path, num_nodes=2**16))


@pytest.mark.parametrize("key", ["gradient_clip", "threads"])
def test_null_is_offered_where_it_means_something(key: str, tmp_path: Path) -> None:
    meaning = {"gradient_clip": "or null for none", "threads": "or null for as many as there are cores"}
    with pytest.raises(UserError, match=meaning[key]):
        check_trainer(make_config(tmp_path, **{key: 0}))


def test_method_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="method"):
        check_trainer(changed(make_config(tmp_path), method={"name": "ful"}))


def test_a_loss_on_prompts_needs_a_model_that_predicts_them() -> None:
    with pytest.raises(UserError, match=r"prompt_loss_weight=0.5: an encoder-decoder .* decoder-only"):
        check_prompt_weight(TrainerConfig(prompt_loss_weight=0.5), True)
    check_prompt_weight(TrainerConfig(prompt_loss_weight=0.5), False)
    check_prompt_weight(TrainerConfig(), True)


def test_lightning_must_not_start_the_script_again(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="torchrun --nproc-per-node"):
        check_trainer(make_config(tmp_path, devices=2, strategy="ddp"))


@pytest.mark.parametrize(("rank", "total"), RANKS)
def test_launchers_that_start_every_process(
    rank: str, total: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rank, "0")
    monkeypatch.setenv(total, "2")
    check_trainer(make_config(tmp_path, devices=2))
    check_trainer(make_config(tmp_path, devices=1, num_nodes=2))
    with pytest.raises(UserError, match="2 processes were started"):
        check_trainer(make_config(tmp_path, devices=4))
    with pytest.raises(UserError, match="2 processes were started"):
        check_trainer(make_config(tmp_path))


def test_a_slurm_job_of_one_task_is_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    check_trainer(make_config(tmp_path))
    with pytest.raises(UserError, match="tasks_per_node"):
        check_trainer(make_config(tmp_path, devices=2))


def test_an_encoder_has_no_beginning_to_share() -> None:
    check_shared(DataConfig(grouping="prefix"), encoder_decoder=False)
    with pytest.raises(
        UserError, match=r"data.grouping=prefix: an encoder looks both ways.*Leave it at none"
    ):
        check_shared(DataConfig(grouping="prefix"), encoder_decoder=True)


@pytest.mark.parametrize(
    ("packing", "encoder_decoder", "why"),
    [
        (True, True, "an encoder looks both ways"),
        (False, False, "data.packing=false lays"),
        (True, False, ""),
    ],
)
def test_tasks_drawn_together_that_share_nothing_are_told(
    caplog: pytest.LogCaptureFixture, packing: bool, encoder_decoder: bool, why: str
) -> None:
    check_shared(DataConfig(grouping="task", packing=packing), encoder_decoder)
    check_shared(DataConfig(packing=packing), encoder_decoder)
    assert [message.partition(" ")[0] for message in caplog.messages] == ["data.grouping=task:"] * bool(why)
    assert why in caplog.text


@pytest.mark.parametrize(
    ("data", "trainer", "told"),
    [
        ({"grouping": "task"}, {}, "data.grouping=task does"),
        ({"grouping": "prefix"}, {}, "data.grouping=prefix does"),
        ({"packing": False}, {}, "data.packing=false does"),
        ({}, {"compile": True}, "trainer.compile=true does"),
        ({"packing": False}, {"compile": True}, "data.packing=false and trainer.compile=true does"),
    ],
)
def test_dropout_needs_examples_at_their_places(
    data: dict[str, Any], trainer: dict[str, Any], told: str
) -> None:
    check_dropout(TrainerConfig(dropout=0.0, **trainer), DataConfig(**data))
    check_dropout(TrainerConfig(dropout=0.1), DataConfig())
    with pytest.raises(UserError, match=told):
        check_dropout(TrainerConfig(dropout=0.1, **trainer), DataConfig(**data))


@pytest.mark.parametrize("key", ["at", "every_steps", "every_epochs"])
def test_scores_while_training_need_a_whole_model(key: str) -> None:
    asked: dict[str, Any] = {key: [0.5] if key == "at" else 2}
    check_points(EvaluationConfig(**asked), TrainerConfig(strategy="ddp"))
    check_points(EvaluationConfig(engine="vllm"), TrainerConfig(strategy="fsdp"))
    with pytest.raises(UserError, match=rf"evaluation\.{key}: with trainer\.strategy=fsdp"):
        check_points(EvaluationConfig(**asked), TrainerConfig(strategy="fsdp"))
    with pytest.raises(UserError, match=rf"evaluation\.{key}: evaluation\.engine=vllm"):
        check_points(EvaluationConfig(engine="vllm", **asked), TrainerConfig())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"trainer": {"dropout": 0.1}, "data": {"packing": False}}, "draws by example and place"),
        (
            {"trainer": {"strategy": "fsdp"}, "evaluation": {"every_steps": 2}},
            "no process has the whole model",
        ),
        ({"data": {"grouping": "tsk"}}, "grouping"),
        ({"trainer": {"batch_size": 0}}, "batch_size"),
    ],
)
def test_all_of_it_is_checked_at_once(changes: dict[str, dict[str, Any]], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        check_trainer(changed(make_config(tmp_path), **changes))
