"""What tests of models share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from instruct_ablate.model import trial


@pytest.fixture
def tried_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold each trial anew: a kept verdict knows nothing of the package's own code, which a test changes."""

    def proven(of: Callable[[object], bool], model: object) -> bool:
        return trial._passes(of, of, model)

    for module in ("training.packable", "training.loss", "decoding.support"):
        monkeypatch.setattr(f"instruct_ablate.model.{module}.proven", proven)
