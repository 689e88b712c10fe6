"""`python -m benchmarks gpu` in its small form: every kind of part runs, and no failure loses another's findings."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARTS = [
    "machine",
    "losses",
    "answers",
    "attention",
    "train smollm2_135m",
    "evaluate t5_large",
    "pool",
    "fused",
    "profile qwen3_0.6b",
]
# The command itself, with parts beside its own that fail as a part may.
SCRIPT = """
import os, sys, time
from benchmarks import gpu

def broken(given):
    yield "before", {"equal": True}
    raise ValueError("this kernel is not there")

def dead(given):
    yield "before", {"equal": True}
    os._exit(3)

def late(given):
    yield "before", {"equal": True}
    time.sleep(600)

gpu.PARTS |= {"broken": (broken, 5), "dead": (dead, 5)}
sys.argv = ["gpu.py", *sys.argv[1:]]
given = gpu.options()
results = gpu.run(given)
gpu.PARTS["late"] = (late, 1)
results["parts"]["late"] = gpu.watch("late", given, 1)
gpu.json.dump({"unequal": gpu.unequal(results), **results}, open(sys.argv[-1], "w"))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("gpu")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "OMP_NUM_THREADS": "1"}
    words = ["--device", "cpu", "--parts", *PARTS, "broken", "dead", "--json", str(folder / "gpu.json")]
    command = [sys.executable, "-c", SCRIPT, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "gpu.json").read_text())
    return found


@pytest.mark.slow
def test_every_part_runs_and_what_must_be_equal_is(results: dict[str, Any]) -> None:
    found = {name: part["found"] for name, part in results["parts"].items()}
    assert set(PARTS) < set(found)
    assert found["losses"]["smollm2_135m, grouped, fp32"]["gradient"] < 1e-4
    assert {one["equal"] for one in found["losses"].values()} == {True}
    assert found["answers"]["t5_large, constrained, fp32"]["same"] == "10 of 10"
    for name in ("smollm2_135m", "t5_large"):
        steps = found["answers"][f"{name}, captured steps, fp32"]
        assert (steps["equal"], steps["same"]) == (True, "10 of 10")
        assert steps["replayed"] > steps["captured"] > 0
    assert {one["equal"] for one in found["attention"].values()} == {True}
    assert found["train smollm2_135m"]["ours"]["tokens/s"] > 0
    assert found["train smollm2_135m"]["peer at 4"]["tokens/s"] > 0
    assert found["evaluate t5_large"]["generate at 4"]["instances/s"] > 0
    steps = found["evaluate t5_large"]["steps"]
    assert steps["equal"]
    assert steps["captured"] == 1
    assert steps["replayed"] > 4
    assert min(steps["ms a step captured"], steps["ms a step as they are"]) > 0
    assert len(found["pool"]) == 2
    assert found["fused"]["joined against in turn"]["equal"]
    assert found["machine"]["processor"]["cores"] >= 1


@pytest.mark.slow
def test_a_failure_loses_neither_its_own_findings_nor_another_s(results: dict[str, Any]) -> None:
    found = {name: part["found"] for name, part in results["parts"].items()}
    for name, reason in (
        ("broken", "this kernel is not there"),
        ("dead", "ended with 3"),
        ("late", "stopped after 1 s"),
    ):
        assert found[name]["before"] == {"equal": True}
        assert reason in found[name]["failed"]["error"]
    assert results["unequal"] == ["broken: failed", "dead: failed", "late: failed"]


def test_without_what_the_peer_needs_ours_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import gpu_speed

    def lacking(name: str, package: str | None = None) -> Any:
        return None if name == "accelerate" else object()

    def taken(*_: Any, **__: Any) -> dict[str, Any]:
        return {"tokens/s": 1.0, "operations a token": 1.0}

    monkeypatch.setattr(gpu_speed.importlib.util, "find_spec", lacking)
    monkeypatch.setattr(gpu_speed, "_train_ours", taken)
    given = argparse.Namespace(device="cpu", small=True, peer_rows=[4])
    found = dict(gpu_speed.train(given, "t5_large"))
    assert found["peer"] == {"needs": ["accelerate"]}
    assert set(found) == {"peer", "ours"}
    assert "error" not in found["ours"]
