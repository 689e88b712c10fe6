"""Presets: each has a file that names its hub id; whether it has seen a test's tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from instruct_ablate.configuration.presets import (
    DATA_LICENCES,
    PRESETS,
    REPACKS,
    data_licence,
    licence_of,
    seen_by,
)
from instruct_ablate.grid.composing.composer import compose_config

CONF = Path(__file__).parents[2] / "conf" / "model"


def test_each_has_a_file_and_each_file_with_a_hub_id_is_listed() -> None:
    files = {path.stem: yaml.safe_load(path.read_text()) for path in CONF.glob("*.yaml")}
    by_hub = {name: made for name, made in files.items() if "path" in made}
    assert {name: made["path"] for name, made in by_hub.items() if name not in ("llama_7b", "alpaca_7b")} == {
        name: preset.path for name, preset in PRESETS.items()
    }
    for name, preset in PRESETS.items():
        assert files[name]["name"] == name
        assert files[name].get("tuned", False) == (preset.kind == "instruct"), name
    assert set(REPACKS) <= set(files)


@pytest.mark.parametrize(
    ("model", "reader", "said"),
    [
        ("flan_t5_base", "natural_instructions", "yes"),
        ("google/flan-t5-base", "p3", "yes"),
        ("tk_instruct_3b", "natural_instructions", "yes"),
        ("tk_instruct_3b", "p3", "no"),
        ("t5_xl_lm_adapt", "natural_instructions", "no"),
        ("olmo2_1b", "natural_instructions", "?"),  # through FLAN
        ("qwen3_0_6b_base", "p3", "?"),  # not published
        ("gemma3_270m", "p3", "?"),  # a repack of one that is listed
        ("flan_t5_base", "starter", None),
        ("tiny_llama", "p3", None),
    ],
)
def test_what_a_model_has_seen(model: str, reader: str, said: str | None) -> None:
    assert seen_by(model, reader) == said


def test_licences_are_those_of_the_table_and_of_collections_that_there_are() -> None:
    assert licence_of("gemma3_270m") == licence_of("google/gemma-3-270m") == "Gemma's terms"
    assert licence_of("smollm2_135m") == "Apache-2.0"
    assert licence_of("mine") is None
    assert {path.stem for path in (CONF.parent / "tasks").glob("*.yaml")} >= DATA_LICENCES.keys()


@pytest.mark.parametrize("name", DATA_LICENCES)
def test_a_collection_s_licence_is_of_what_its_reader_reads(name: str) -> None:
    chosen = compose_config([f"tasks={name}"]).tasks
    assert data_licence(name, chosen.reader) == DATA_LICENCES[name][1]
    assert data_licence(name, None) == DATA_LICENCES[name][1]
    assert data_licence(name, "hf_dataset").startswith(
        "not known: the data are called so, and read by hf_dataset"
    )
    assert data_licence("mine", chosen.reader).startswith("not known: no record names it")
