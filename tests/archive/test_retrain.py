"""Stored commands are words for our own entry: what could be anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.archive.retrain import command_words, run_again
from instruct_ablate.errors import UserError


def test_a_command_is_run_below_the_new_folder() -> None:
    words = command_words(
        "/old/train.py -m output=/old study=s cache=/c seed=0,1 'hypotheses=[a equals b on rougeL within 2.5]' "
        "trainer.learning_rate=1e-4",
        Path("new"),
        "s",
    )
    assert words == ["seed=0,1", "hypotheses=[a equals b on rougeL within 2.5]", "trainer.learning_rate=1e-4",
                     "output=new", "study=s"]  # fmt: skip


@pytest.mark.parametrize(
    "word", ["hydra.searchpath=[x]", "hydra/launcher=ray", "+hydra.x=1", "--config-dir=/tmp", "-c", "'a b'", "~seed",
             "=x", "'a;b=1'"]
)  # fmt: skip
def test_words_that_are_no_plain_override(word: str) -> None:
    with pytest.raises(UserError, match="run that command by hand"):
        command_words(f"train.py {word}", Path("new"), "s")


@pytest.mark.parametrize(
    "word",
    ["extensions=[x]", "evaluation.metrics=[os.system]", "tasks={reader: my.f}", "prompt.template=a.b"],
)
def test_code_needs_trust(word: str) -> None:
    with pytest.raises(UserError, match="--trust"):
        command_words(f"train.py '{word}'", Path("new"), "s")
    assert word in command_words(f"train.py '{word}'", Path("new"), "s", trust=True)


def test_nothing_starts_before_all_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *words, **more: pytest.fail("it ran"))
    with pytest.raises(UserError, match="by hand"):
        run_again(["train.py seed=0", "train.py -rf"], tmp_path, "s")
    with pytest.raises(UserError, match="cannot be read"):
        run_again(["train.py 'seed=0"], tmp_path, "s")
    with pytest.raises(UserError, match="no stored commands"):
        run_again([], tmp_path, "s")
