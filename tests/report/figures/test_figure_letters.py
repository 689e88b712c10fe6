"""Characters that the figures' font lacks."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.report.figures.figures import _save, _tell


def test_characters_that_the_font_lacks_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def titled(axes: Any) -> bool:
        axes.set_title("感情")
        return True

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _save(tmp_path / "figure", titled, 5.0)
        warnings.warn("another", stacklevel=1)
    assert len(told) > 2
    with pytest.warns(UserWarning, match="another") as left:
        _tell(told)
    assert len(left) == 1
    (said,) = [record.getMessage() for record in caplog.records]
    assert "lacks: 感情;" in said
