from __future__ import annotations

import pytest

from instruct_ablate.data.weighting import Weighting
from instruct_ablate.schema import TrainerConfig


def test_targets_alone_count_unless_asked_otherwise() -> None:
    assert Weighting.of(TrainerConfig()) is None
    assert Weighting.of(TrainerConfig(prompt_loss_weight=0.5)) == Weighting(0.5)
    assert Weighting.of(TrainerConfig(prompt_loss_weight=1, loss="per_example")) == Weighting(1, True)


def test_a_prompts_first_token_counts_nothing() -> None:
    assert Weighting(0.5).total(source=5, target=3) == 3 + 0.5 * 4
    assert Weighting(0.5).scale(5, 3) == 1.0
    assert Weighting(0.5, True).scale(5, 3) == pytest.approx(1 / 5)
