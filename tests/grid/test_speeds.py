"""Speeds that were measured: added up by model, method and machine, and taken from one machine alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.state.environment import environment
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import missing_record
from instruct_ablate.cost import Cost
from instruct_ablate.data.settings import GROUPINGS
from instruct_ablate.grid.speeds import (
    Machine,
    Speed,
    Way,
    beside,
    machine_lines,
    on_one_machine,
    speeds,
    way_of,
)
from instruct_ablate.schema import DataConfig, MethodConfig, ModelConfig, TrainerConfig
from tests.left_out import left_out
from tests.standins import make_config

MADE = environment("cpu", "fp32", processor="EPYC", threads=2)
HERE = Machine("EPYC", "cpu", "fp32", 2)
GPU = Machine("H200", "cuda", "bf16")
SLOW, QUICK = Speed(100, 100.0, 10, 10.0, 4.0, 2, 5.0), Speed(1000, 1.0, 100, 1.0, 2.0, 1, 9.0)


def record(folder: Path, model: str = "tiny_llama", state: str = "done", **cost: Any) -> CellRecord:
    config = make_config(folder, model=ModelConfig(model, source="random"))
    return replace(
        missing_record(identify(config)),
        state=state,  # type: ignore[arg-type]
        environment=MADE,
        cost=Cost(**cost),
        started=100.0,
        finished=110.0,
    )


def test_cells_that_waited_for_others_took_no_more_for_it(tmp_path: Path) -> None:
    """Before: of cells whose steps were joined the time of all was that of each, and a grid was foretold that long."""
    took = {"train_tokens": 300, "train_seconds": 4.0, "evaluate_instances": 10, "evaluate_seconds": 1.0}
    joined = record(tmp_path, **took, prepare_seconds=0.5)
    assert joined.environment is not None
    joined = replace(joined, environment=replace(joined.environment, fused=3))
    assert speeds([joined]) == {Way("tiny_llama", "full", HERE): Speed(300, 4.0, 10, 1.0, 0.5, 1, 110.0)}


def test_speeds_are_added_up_over_finished_cells(tmp_path: Path) -> None:
    took = {"train_tokens": 300, "train_seconds": 4.0, "evaluate_instances": 10, "evaluate_seconds": 1.0}
    records = [
        record(tmp_path, **took),
        record(tmp_path, **took, point_seconds=2.0),
        record(tmp_path, state="failed", **took),
        record(tmp_path, "tiny_t5", **took),
        replace(record(tmp_path, **took), environment=None),
    ]
    found = speeds(records)
    assert found == {
        Way("tiny_llama", "full", HERE): Speed(600, 8.0, 20, 2.0, 8.0, 2, 110.0),
        Way("tiny_t5", "full", HERE): Speed(300, 4.0, 10, 1.0, 5.0, 1, 110.0),
    }


def test_imported_predictions_are_no_measure(tmp_path: Path) -> None:
    """Before: an untuned model was foretold to take no time, where predictions in its name had been imported last."""
    own = record(tmp_path, evaluate_instances=10, evaluate_seconds=5.0)
    given = record(tmp_path, evaluate_instances=1000)
    given = replace(given, setting=given.setting.changed(method="imported"), finished=200.0)
    assert speeds([own, given]) == speeds([own])


def test_a_clock_set_back_makes_no_negative_time(tmp_path: Path) -> None:
    jumped = replace(record(tmp_path, train_seconds=4.0), finished=50.0)
    assert speeds([jumped])[Way("tiny_llama", "full", HERE)].other_seconds == 0.0


def test_what_is_left_out() -> None:
    assert left_out(Speed) == {
        "tokens": 0,
        "train_seconds": 0.0,
        "instances": 0,
        "test_seconds": 0.0,
        "other_seconds": 0.0,
        "cells": 0,
        "last": 0.0,
    }


def test_a_machine_is_told_by_its_processor_and_by_its_host_where_that_was_not_noted() -> None:
    gpu = replace(MADE, device="cuda:3", precision="bf16", processor="H200", threads=0)
    assert Machine.of(gpu) == GPU
    assert str(GPU) == "H200 (cuda, bf16)"
    assert str(HERE) == "EPYC (cpu, fp32, 2 threads)"
    early = Machine.of(replace(MADE, processor="", threads=0))
    assert str(early) == f"{MADE.host} (cpu, fp32)"
    assert str(replace(HERE, threads=1)).endswith("1 thread)")
    assert str(Machine()) == "a machine that was not noted (cpu, fp32)"


def test_cells_that_train_other_layers_are_two_speeds(tmp_path: Path) -> None:
    whole = record(tmp_path, train_tokens=300, train_seconds=4.0)
    whole = replace(whole, setting=whole.setting.changed(**{"method": "lora", "method.layers": "all"}))
    upper = replace(whole, setting=whole.setting.changed(**{"method.layers": "top:2"}))
    assert [one.method for one in speeds([whole, upper])] == ["lora", "lora top:2"]


def test_cells_that_group_their_steps_are_two_speeds(tmp_path: Path) -> None:
    """Before: `plan` gave packed cells the time of grouped ones, and the other way round."""
    packed = record(tmp_path, train_tokens=300, train_seconds=4.0)
    grouped = replace(packed, setting=packed.setting.changed(**{"data.grouping": "prefix"}))
    assert [one.method for one in speeds([packed, grouped])] == ["full", "full data.grouping=prefix"]
    upper = make_config(
        tmp_path, method=MethodConfig("lora", layers="top:2"), data=DataConfig(grouping="task")
    )
    assert way_of(upper) == "lora top:2 data.grouping=task"
    for grouping in GROUPINGS:
        config = make_config(tmp_path, data=DataConfig(grouping=grouping))
        setting = packed.setting.changed(**{"data.grouping": grouping})
        (only,) = speeds([replace(packed, setting=setting)])
        assert only.method == way_of(config), "measured and asked for by one name"


def test_an_encoder_decoder_is_as_quick_whatever_is_asked_of_grouping(tmp_path: Path) -> None:
    """Before: its prompts share nothing, and the time of its grouped cells was unknown beside that of the others."""
    took = {"train_tokens": 300, "train_seconds": 4.0}
    for model, ways in (("tiny_t5", {"full"}), ("tiny_llama", {"full", "full data.grouping=task"})):
        given = ModelConfig(model, source="random")
        configs = [
            make_config(tmp_path, model=given, data=DataConfig(grouping=one)) for one in ("none", "task")
        ]
        own = record(tmp_path, model, **took)
        grouped = replace(own, setting=own.setting.changed(**{"data.grouping": "task"}))
        assert {one.method for one in speeds([own, grouped], configs)} == ways
        assert {way_of(config) for config in configs} == ways


def test_cells_that_are_padded_are_a_speed_of_their_own(tmp_path: Path) -> None:
    packed = record(tmp_path, train_tokens=300, train_seconds=4.0)
    padded = replace(packed, setting=packed.setting.changed(**{"data.packing": False}))
    grouped = replace(padded, setting=padded.setting.changed(**{"data.grouping": "task"}))
    assert [one.method for one in speeds([packed, padded, grouped])] == ["full", "full data.packing=false"]
    for data in (DataConfig(packing=False), DataConfig(packing=False, grouping="task")):
        assert way_of(make_config(tmp_path, data=data)) == "full data.packing=false"


def test_an_early_record_is_of_its_host_s_machine_where_that_is_one(tmp_path: Path) -> None:
    """Before: its processor was not noted, and `plan` left its cells out as another machine's."""
    own = record(tmp_path, train_tokens=300, train_seconds=4.0)
    early = replace(own, environment=replace(MADE, processor="", threads=0))
    assert speeds([early, own]) == speeds([own, own])
    elsewhere = replace(own, environment=replace(MADE, host="elsewhere"))
    other = replace(own, environment=replace(MADE, processor="Xeon"))  # two machines of one name
    narrow = replace(own, environment=replace(MADE, precision="bf16"))
    for others in ([elsewhere], [own, other], [narrow]):
        assert Machine.of(replace(MADE, processor="", threads=0)) in {
            one.machine for one in speeds([early, *others])
        }


def test_cells_of_two_machines_are_two_speeds(tmp_path: Path) -> None:
    """Before: they were added up, and a GPU's cells made the processor's seem quick, and the other way round."""
    here = record(tmp_path, train_tokens=300, train_seconds=4.0)
    there = replace(
        here, environment=replace(MADE, device="cuda:0", precision="bf16", processor="H200", threads=0)
    )
    assert list(speeds([here, there])) == [Way("tiny_llama", "full", HERE), Way("tiny_llama", "full", GPU)]


@pytest.mark.parametrize(
    ("trainer", "machine"),
    [
        (TrainerConfig(), GPU),  # where the last one ended
        (TrainerConfig(accelerator="cpu"), HERE),
        (TrainerConfig(accelerator="gpu"), GPU),
        (TrainerConfig(precision="fp32"), HERE),
        (TrainerConfig(precision="bf16"), GPU),
        (TrainerConfig(precision="fp16"), None),
        (TrainerConfig(accelerator="cpu", precision="bf16"), None),
    ],
)
def test_one_machine_is_gone_by_that_suits_the_settings(
    trainer: TrainerConfig, machine: Machine | None
) -> None:
    measured = {Way("m", "full", HERE): SLOW, Way("m", "full", GPU): QUICK}
    found = on_one_machine(measured, trainer, "m", "full")
    assert found == (None if machine is None else (machine, SLOW if machine == HERE else QUICK))


def test_an_untuned_model_is_as_quick_by_any_method_of_its_machine() -> None:
    measured = {Way("m", "full", HERE): SLOW, Way("m", "lora", HERE): QUICK, Way("other", "full", GPU): QUICK}
    assert on_one_machine(measured, TrainerConfig(), "m", None) == (HERE, SLOW + QUICK)
    assert on_one_machine(measured, TrainerConfig(), "m", "lora top:2") is None
    assert on_one_machine(measured, TrainerConfig(), "nobody", None) is None


def test_a_machine_that_only_tested_gives_no_time_of_training() -> None:
    tested = replace(QUICK, tokens=0, train_seconds=0.0)
    measured = {Way("m", "full", HERE): SLOW, Way("m", "full", GPU): tested}
    assert on_one_machine(measured, TrainerConfig(), "m", "full") == (HERE, SLOW)
    assert on_one_machine(measured, TrainerConfig(), "m", None) == (GPU, tested)


def test_a_machine_that_tested_nothing_gives_no_time() -> None:
    """The time of a prediction is divided by their number."""
    measured = {Way("m", "full", HERE): SLOW, Way("m", "full", GPU): replace(QUICK, instances=0)}
    assert on_one_machine(measured, TrainerConfig(), "m", "full") == (HERE, SLOW)


def test_earlier_studies_fill_what_was_not_measured() -> None:
    own = {Way("m", "full", HERE): SLOW}
    further = {Way("m", "full", GPU): QUICK, Way("m", "lora", GPU): QUICK}
    assert beside(own, further) == {**own, Way("m", "lora", GPU): QUICK}


def test_an_untuned_models_tests_are_no_measure_of_training() -> None:
    """Before: `plan --decide --from` had no time of training, where the study beside had its untuned model alone."""
    tested = replace(QUICK, tokens=0, train_seconds=0.0, last=20.0)
    for machine in (HERE, GPU):
        every = beside({Way("m", "full", HERE): tested}, {Way("m", "full", machine): SLOW})
        found = on_one_machine(every, TrainerConfig(), "m", "full")
        assert found is not None
        assert (found[0], found[1].tokens, found[1].train_seconds) == (machine, 100, 100.0)
        assert on_one_machine(every, TrainerConfig(), "m", None) == (HERE, every[Way("m", "full", HERE)])
    assert beside({Way("m", "full", HERE): tested}, {Way("m", "full", HERE): tested}) == {
        Way("m", "full", HERE): tested
    }


def test_what_times_rest_on_is_said() -> None:
    measured = {Way("m", "full", HERE): SLOW, Way("m", "full", GPU): QUICK, Way("n", "full", GPU): QUICK}
    assert list(machine_lines(measured, [("m", str(GPU)), ("n", str(GPU)), ("m", str(GPU))])) == [
        "time: m, n as measured on H200 (cuda, bf16)",
        "time: measured on another machine, and not counted in: m on EPYC (cpu, fp32, 2 threads)",
    ]
    assert list(machine_lines(measured, [("m", str(HERE)), ("n", str(GPU))])) == [
        "time: m as measured on EPYC (cpu, fp32, 2 threads)",
        "time: n as measured on H200 (cuda, bf16)",
        "time: measured on another machine, and not counted in: m on H200 (cuda, bf16)",
    ]
    assert list(machine_lines(measured, [])) == []
