from __future__ import annotations

from instruct_ablate.instruction.content import DROPPED
from instruct_ablate.instruction.content_kinds.annotation import WRITTEN
from instruct_ablate.instruction.content_kinds.kinds import KINDS


def test_every_kind_is_annotated_and_has_a_variant() -> None:
    assert set(WRITTEN.values()) == set(DROPPED.values()) == set(KINDS)
