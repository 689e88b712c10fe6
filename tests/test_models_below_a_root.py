"""A grid over presets read from local folders of the hub's format: `kung_peng_2026` in small, and what counts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.configuration.presets import PRESETS
from instruct_ablate.grid.composing.composer import compose_config
from instruct_ablate.model.loading.random_model import tiny_model
from instruct_ablate.schema import Config
from tests.grid.small import records, sweep
from tests.test_experiments import cells, composed

STUDY = "kung_peng_2026"
SIX = {  # each by a tiny model of its family
    "smollm2_135m_base": "tiny_llama", "smollm2_1_7b_base": "tiny_llama", "qwen3_0_6b_base": "tiny_qwen3",
    "qwen3_1_7b_base": "tiny_qwen3", "olmo2_1b": "tiny_olmo2", "gemma3_270m_hub": "tiny_gemma3",
}  # fmt: skip


def place(root: Path, cache: Path, preset: str, tiny: str) -> Path:
    """Put a tiny model where a preset's hub id is looked for; a preset of two in a family has weights of its own."""
    folder = Path(shutil.copytree(tiny_model(tiny, cache), root / PRESETS[preset].path))
    if "1_7b" in preset:
        weights = load_file(folder / "model.safetensors")
        save_file(
            {name: 1.5 * one for name, one in weights.items()}, folder / "model.safetensors", {"format": "pt"}
        )
    return folder


def one(tmp_path: Path, *words: str) -> Config:
    return compose_config([f"cache={tmp_path}/cache", "logger=none", "tasks=starter", *words])


def test_the_study_names_the_six_presets_of_these_families() -> None:
    swept = composed(f"experiment={STUDY}").hydra.sweeper.params["model"].split(",")
    assert swept == list(SIX)
    families = {
        "tiny_llama": "llama",
        "tiny_qwen3": "qwen3",
        "tiny_olmo2": "olmo2",
        "tiny_gemma3": "gemma3_text",
    }
    assert {name: PRESETS[name].family for name in SIX} == {
        name: families[tiny] for name, tiny in SIX.items()
    }
    assert len(cells(STUDY)) == 6 * 5 * 5 * 5


def test_where_it_lies_does_not_count_but_what_lies_there(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    roots = [tmp_path / "one", tmp_path / "two"]
    folders = [place(root, cache, "olmo2_1b", "tiny_olmo2") for root in roots]
    first, second = (identify(one(tmp_path, "model=olmo2_1b", f"model.root={root}")) for root in roots)
    own = identify(one(tmp_path, "model=olmo2_1b", f"model.path={folders[1]}"))
    assert first.hash == second.hash == own.hash
    assert first.name == own.name
    assert first.setting.model == "olmo2_1b"
    (folders[1] / "generation_config.json").write_text("{}")
    assert identify(one(tmp_path, "model=olmo2_1b", f"model.root={roots[1]}")).hash != first.hash


def test_other_models_of_a_grid_stand_beside(tmp_path: Path) -> None:
    for model in ("tiny_llama", "uniform_guess"):
        plain, given = (
            one(tmp_path, f"model={model}"),
            one(tmp_path, f"model={model}", f"model.root={tmp_path}"),
        )
        assert identify(given).hash == identify(plain).hash


@pytest.mark.slow
def test_the_study_of_six_models_runs_in_small(tmp_path: Path) -> None:
    root, cache = tmp_path / "models", tmp_path / "cache"
    for preset, tiny in SIX.items():
        place(root, cache, preset, tiny)
    small = (
        "tasks=starter_yes_no", "tasks.test_instances=2", "trainer=tiny", "trainer.max_steps=2", "data_budget=0,1",
        "instruction=original,response_only", "seed=0", "prompt.max_target_length=8", "trainer.precision=fp32",
        "trainer.accelerator=cpu", "trainer.progress=false", "logger=none", "reuse=none",
    )  # fmt: skip
    run = sweep(
        tmp_path, f"experiment={STUDY}", *small, f"model.root={root}", f"cache={cache}", HF_HUB_OFFLINE="1"
    )
    assert run.returncode == 0, run.stdout + run.stderr
    done = records(tmp_path, STUDY).values()
    assert {record.state for record in done} == {"done"}
    named = [record.setting.model for record in done]
    assert {name: named.count(name) for name in named} == dict.fromkeys(SIX, 3)
    for record in done:
        tested = (
            ["original", "delusive"]
            if record.setting.instruction in ("", "original")
            else ["original", "response_only+empty", "delusive"]
        )
        assert [block.instruction for block in record.blocks] == tested
        for block in record.blocks:
            assert block.scores.overall.get("lenient_match") is not None
            assert (block.scores.overall.get("reference_log_likelihood") or 1) < 0
    weights = {record.setting.revision("model") for record in done}
    assert len(weights) == 6
