from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.state.identity import identify
from instruct_ablate.command_line import group
from instruct_ablate.grid.declaration import declare
from tests.standins import make_config, replace_inputs


def test_it_shows_the_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    declare(tmp_path, [identify(make_config(tmp_path))], make_config(tmp_path))
    result = CliRunner().invoke(group, ["status", str(tmp_path)])
    assert result.exit_code == 0
    assert "1 cell (1 missing)" in result.output


class Drawn:
    """In rich's `Live`'s place: notes what is drawn, and how it was made."""

    def __init__(self, first: str, **made: object) -> None:
        self.drawn = [first]
        self.automatic = made["auto_refresh"]
        SEEN.append(self)

    def __enter__(self) -> Drawn:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, table: str, refresh: bool = False) -> None:
        self.drawn.append(table if refresh else "not drawn yet")


def test_a_study_that_has_not_begun_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["status", str(tmp_path)])
    assert (result.exit_code, f"{tmp_path.name}: no cell was asked for yet" in result.output) == (0, True), (
        result.output
    )


SEEN: list[Drawn] = []


@pytest.mark.parametrize(("words", "pause"), [((), 5.0), (("--every", "0.5"), 0.5)])
def test_watching_looks_again_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], pause: float
) -> None:
    pauses: list[float] = []
    tables = iter(("first", "second", "third"))

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    SEEN.clear()
    monkeypatch.setattr("rich.live.Live", Drawn)
    monkeypatch.setattr("instruct_ablate.grid.status.status_table", lambda study: next(tables))
    monkeypatch.setattr("instruct_ablate.commands.status.time.sleep", sleep)
    result = CliRunner().invoke(group, ["status", "s", "--watch", *words])
    assert result.exit_code == 0, result.output
    assert pauses == [pause] * 3
    (live,) = SEEN
    assert live.drawn == ["first", "second", "third"]
    assert live.automatic is False, "the table is read from the disk at each look, not by a thread in between"
