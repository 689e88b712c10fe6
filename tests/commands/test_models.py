from __future__ import annotations

import pytest
from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.pages import models_page


def test_models_are_listed_as_a_table_or_as_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_page, "rows", lambda: iter([("mine",) + ("x",) * 10]))
    assert "mine" in CliRunner().invoke(group, ["models"]).output
    assert CliRunner().invoke(group, ["models", "--markdown"]).output.startswith("# Models")
