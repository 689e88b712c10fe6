from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.settings import LIMITS, check_folder, check_names, check_reference
from instruct_ablate.errors import UserError
from instruct_ablate.schema import InstructionConfig
from tests.ends import Ends, check_ends
from tests.standins import make_config


@pytest.mark.parametrize("study", ["é", "实验", "it's", "a=b", "a b", "..."])
def test_any_letters_that_a_file_system_takes(study: str, tmp_path: Path) -> None:
    check_names(make_config(tmp_path, study=study))


@pytest.mark.parametrize("study", ["", " ", "../x", "/tmp/x", "a/b", ".", "..", 256 * "x", "a\0b"])
def test_names_that_are_no_folder_below_output(study: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="study"):
        check_names(make_config(tmp_path, study=study))


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_time_limits_that_no_timer_has(hours: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cell_timeout"):
        check_names(make_config(tmp_path, cell_timeout=hours))


def test_seeds_fit_every_generator(tmp_path: Path) -> None:
    check_names(make_config(tmp_path, seed=2**32 - 1))
    with pytest.raises(UserError, match="seed"):
        check_names(make_config(tmp_path, seed=2**32))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"retry": "all"}, r"unknown retry 'all'.*failed, none"),
        ({"reuse": "some"}, r"unknown reuse 'some'.*all, none, untuned"),
        ({"seed": -1}, r"^seed=-1 must be at least 0$"),
        ({"output": ""}, r"^output='' is empty"),
        ({"cache": "a\0"}, r"^cache="),
        ({"reference": " "}, r"^reference=' ' is empty"),
        ({"extensions": [""]}, r"^extensions: the entry '' is empty"),
        ({"hypotheses": [4001 * "x"]}, "at most 4000"),
        ({"study": "a/b"}, r"must be the name of one folder below output: leave out `/` and `..`$"),
    ],
)
def test_what_no_sweep_does(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        check_names(make_config(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 0},
        {"cell_timeout": None},
        {"cell_timeout": 0.5},
        *({"retry": word} for word in ("failed", "none")),
        *({"reuse": word} for word in ("none", "untuned", "all")),
        *({name: value} for name in ("fail_fast", "detach", "keep_checkpoints") for value in (True, False)),
    ],
)
def test_what_a_sweep_does(changes: dict[str, Any], tmp_path: Path) -> None:
    check_names(make_config(tmp_path, **changes))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (FileExistsError(17, "File exists"), "a file stands where a folder is needed"),
        (NotADirectoryError(20, "Not a directory"), "a file stands where a folder is needed"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_why_a_folder_cannot_be_made(fault: OSError, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **_: object) -> None:
        raise fault

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=rf"^cannot write a/b: {why}; choose another cache=PATH$"):
        check_folder("cache", "a/b")


def test_a_folder_is_made_or_the_reason_is_said(tmp_path: Path) -> None:
    check_folder("output", str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*file/x: .*; choose another output=PATH$"):
        check_folder("output", str(tmp_path / "file" / "x"))


def test_the_reference_is_a_variant() -> None:
    check_reference("empty+original", InstructionConfig())
    with pytest.raises(UserError, match=r"^reference: unknown.*did you mean 'simplified'"):
        check_reference("simplifed", InstructionConfig())


ENDS: Ends = {
    "seed": ((0, 2**32 - 1), (-1, 2**32, None)),
    "retry": (("failed", "none"), ("all",)),
    "reuse": (("none", "untuned", "all"), ("some",)),
    "until": (("done", "decided"), ("ever",)),
    "cell_timeout": ((0.5, None), (0.0, float("nan"))),
    "extensions": (([], ["a.py"]), ("a.py", [""])),
    "hypotheses": (([], ["a claim"]), ([""],)),
    "reference": (("original",), ("", None)),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_ends_of_what_each_key_may_be(name: str) -> None:
    check_ends(LIMITS[name], ENDS[name])
