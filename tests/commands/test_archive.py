"""`instruct-ablate archive`: one file of a study, and a line on what is in it and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.archive.pack import Packed
from instruct_ablate.command_line import group


def test_it_says_what_was_packed_and_what_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def pack(study: Path, file: Path) -> Packed:
        seen.append((study, file))
        file.write_bytes(bytes(3 * 2**19))
        return Packed(cells=3, files=12, lacking=("study/s/a/predictions/original.jsonl",))

    monkeypatch.setattr("instruct_ablate.archive.pack.pack", pack)
    result = CliRunner().invoke(group, ["archive", "s", str(tmp_path / "s.zip")])
    assert result.exit_code == 0, result.output
    assert seen == [(Path("s"), tmp_path / "s.zip")]
    assert result.stdout == f"{tmp_path / 's.zip'}: 3 cells, 12 files, 1.5 MiB\n"
    assert result.stderr == "not there, so not in the archive: study/s/a/predictions/original.jsonl\n"
