from __future__ import annotations

import pytest

from instruct_ablate.configuration.top_layers import layers_limit, top_count


def test_what_layers_are_named() -> None:
    assert top_count("all") is None
    assert top_count("top:1") == 1
    assert top_count("top:30") == 30
    assert layers_limit().fault("method.layers", "top:8") is None


@pytest.mark.parametrize(
    "given", ["", "top", "top:", "top:0", "top:08", "top:-1", "top: 8", "bottom:2", "8", "top:8\n"]
)
def test_anything_else_is_a_fault(given: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        top_count(given)
    fault = layers_limit().fault("method.layers", given)
    assert fault is not None
    assert "must be all, or top:N" in fault
