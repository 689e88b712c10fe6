"""A launcher's file has the keys that its class takes, or is refused in one line before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from instruct_ablate.configuration.folders import config_directory
from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch.made import check_keys
from tests.grid.conftest import Train

POOL = "hydra_plugins.instruct_ablate_local_pool.LocalPoolLauncher"
FILES = sorted((config_directory() / "hydra" / "launcher").glob("*.yaml"))


class NeedsMore:
    """A launcher of one's own, with a key that has no default."""

    def __init__(self, queue: str, size: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"_target_": POOL, "thread": 2},
            "takes no key 'thread'; did you mean 'threads'.* Allowed: n, threads, cells_per",
        ),
        ({"n": 2}, "names no _target_"),
        ({"_target_": f"{__name__}.NeedsMore", "size": 2}, "its file lacks queue, which .*NeedsMore needs"),
    ],
)
def test_what_a_launcher_does_not_take_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^hydra/launcher=mine: .*{message}"):
        check_keys("mine", given)


def test_a_module_that_ends_the_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ending_launcher.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"hydra/launcher=mine: ending_launcher\.Own .*SystemExit: 3"):
        check_keys("mine", {"_target_": "ending_launcher.Own"})


def test_what_it_takes_is_let_through() -> None:
    check_keys("mine", {"_target_": POOL, "n": 2, "_recursive_": False})
    check_keys("mine", {"_target_": f"{__name__}.NeedsMore", "queue": "q"})
    check_keys("mine", {"_target_": "nowhere.at.All", "x": 1})  # which Hydra says


@pytest.mark.parametrize(
    "file", sorted((config_directory() / "hydra" / "launcher").glob("*.yaml")), ids=lambda f: f.stem
)
def test_every_launcher_of_ours_has_a_file_that_it_takes(file: Path) -> None:
    check_keys(file.stem, yaml.safe_load(file.read_text()))


def test_a_wrong_key_of_a_file_of_one_s_own_is_one_line(train: Train, tmp_path: Path) -> None:
    """Before: a library's TypeError, with its traceback."""
    (tmp_path / "conf" / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "conf" / "hydra" / "launcher" / "mine.yaml").write_text(f"_target_: {POOL}\nthread: 2\n")
    run = train("-m", "model=tiny_llama", "hydra/launcher=mine")
    assert run.returncode == 2, run.stderr
    assert "hydra/launcher=mine:" in run.stderr
    assert "takes no key 'thread'" in run.stderr
    assert "Traceback" not in run.stderr
