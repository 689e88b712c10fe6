from __future__ import annotations

from typing import Any

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.instruction.settings import check_instruction
from instruct_ablate.schema import InstructionConfig


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"definition": "simplifid"}, "did you mean 'simplified'"),
        ({"examples": "delusiv"}, "did you mean 'delusive'"),
        ({"num_positive": -1}, r"^instruction\.num_positive=-1 must be at least 0$"),
        ({"num_negative": -1}, "num_negative=-1"),
        ({"rate": 1.5}, "rate=1.5"),
        ({"correct": float("nan")}, "correct=nan"),
    ],
)
def test_instructions_that_cannot_be_shown(changes: dict[str, Any], said: str) -> None:
    check_instruction(InstructionConfig(rate=0.0, correct=1.0, num_positive=0))
    with pytest.raises(UserError, match=said):
        check_instruction(InstructionConfig(**changes))


def test_the_ends_of_what_is_allowed() -> None:
    check_instruction(InstructionConfig(num_positive=1000, num_negative=1000, rate=1.0, correct=0.0))
    for key in ("num_positive", "num_negative"):
        with pytest.raises(UserError, match=f"{key}=1001 must be at least 0 and at most 1000"):
            check_instruction(InstructionConfig(**{key: 1001}))
    for key in ("rate", "correct"):
        with pytest.raises(UserError, match=f"{key}=1.01 must be at least 0 and at most 1"):
            check_instruction(InstructionConfig(**{key: 1.01}))
