from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from instruct_ablate.command_line import group
from instruct_ablate.disk.whole_files import write_sealed
from instruct_ablate.errors import UserError
from instruct_ablate.grid.planning.prepare import verify


def prepare(*words: str) -> Result:
    return CliRunner().invoke(group, ["prepare", *words])


def test_it_tells_what_is_ready(tmp_path: Path) -> None:
    told = prepare("model=tiny_llama", f"cache={tmp_path}")
    assert told.exit_code == 0, told.output
    tasks, model = [line for line in told.output.splitlines() if line.startswith(("tasks", "model"))]
    assert tasks.startswith("tasks starter: ")
    assert model.startswith("model tiny_llama: ")
    assert list((tmp_path / "models").iterdir())


def test_a_baseline(tmp_path: Path) -> None:
    told = prepare("model=majority", f"cache={tmp_path}")
    assert told.output.endswith("model majority: a baseline, nothing to fetch\n")


@pytest.mark.parametrize(
    ("word", "message"),
    [("model=tiny_lama", "did you mean 'tiny_llama'"), ("modle=tiny_llama", "did you mean 'model'")],
)
def test_mistakes_are_told(word: str, message: str) -> None:
    result = prepare(word)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_verify_leaves_what_is_known_of_own_readers(tmp_path: Path) -> None:
    for kind in ("own", "seen"):
        write_sealed(tmp_path / "tasks" / kind / "key", "content", "cache")
    assert list(verify(tmp_path)) == [f"0 prepared folders of {tmp_path} are whole"]
    assert {path.name for path in (tmp_path / "tasks").iterdir()} == {"own", "seen"}


def test_verify_compares_every_byte_and_what_is_damaged_is_built_again(tmp_path: Path) -> None:
    prepare("model=tiny_llama", f"cache={tmp_path}")
    weights = next(tmp_path.glob("models/*/model.safetensors"))
    good = weights.read_bytes()
    told = prepare("model=tiny_llama", f"cache={tmp_path}", "--verify")
    assert "2 prepared folders" in told.output
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    told = prepare("model=tiny_llama", f"cache={tmp_path}", "--verify")
    assert "model.safetensors: its content is not what was written" in told.output
    assert "1 prepared folder" in told.output
    assert weights.read_bytes() == good
