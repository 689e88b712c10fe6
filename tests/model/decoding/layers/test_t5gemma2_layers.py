"""T5Gemma 2 is decoded here as it decodes itself, beyond its windows; a trial notices where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from instruct_ablate.model.decoding.layers import t5gemma2_layers
from instruct_ablate.model.decoding.layers.target import Target
from instruct_ablate.model.decoding.support import is_packable
from tests.model.decoding_cases import make_checkpoint

pytestmark = pytest.mark.usefixtures("tried_anew")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    model: Any = make_checkpoint("tiny_t5gemma2", tmp_path_factory.getbasetemp() / "cache").model.eval()
    model.config.decoder.final_logit_softcapping = 2.0
    return model


def test_all_is_as_the_model_has_it(model: Any) -> None:
    assert is_packable(model, True)


def test_the_encoders_window_is_found_out_by_trying(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t5gemma2_layers, "sees_both_ways", lambda *given: None)
    assert not is_packable(model, True)


def test_the_decoders_window_is_found_out_by_trying(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "unseen", lambda target, window=None: target.hidden)
    assert not is_packable(model, True)
