from __future__ import annotations

from instruct_ablate.configuration.learning_rate import effective_rate, effective_rate_text
from instruct_ablate.schema import MethodConfig


def test_lora_takes_its_own_rate_and_full_tuning_the_configured_one() -> None:
    lora, full = (MethodConfig(name, learning_rate_factor=10) for name in ("lora", "full"))
    assert effective_rate(2e-4, lora) == 2e-3
    assert effective_rate(2e-4, full) == 2e-4
    assert effective_rate(2e-4, MethodConfig("lora")) == 2e-4
    assert effective_rate(2e-4, MethodConfig("lora", learning_rate_factor=2)) == 4e-4


def test_a_rate_is_the_number_that_one_would_write() -> None:
    for rate in (1e-4, 3e-4, 7e-5, 6e-6):
        assert effective_rate(rate, MethodConfig("lora", learning_rate_factor=10)) == float(
            f"{rate * 10:.6g}"
        )


def test_a_rate_is_told_with_what_it_is_made_of() -> None:
    assert effective_rate_text(2e-4, "lora", 10) == "0.002 (0.0002 x 10)"
    assert effective_rate_text(2e-4, "lora", 1) == effective_rate_text(2e-4, "full", 10) == "0.0002"
