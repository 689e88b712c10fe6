from __future__ import annotations

import pytest

from instruct_ablate.constraints import followed, kinds
from instruct_ablate.tasks.verifiable import make, wordings
from tests.tasks.verifiable.satisfying import satisfying

GROUPS = tuple(make.groups())
SIZES = [6] * 25 + [9] * 10 + [10] * 6


def test_the_file_is_what_is_drawn():
    assert make.FILE.read_text(encoding="utf-8") == make.content()


def test_each_kind_has_a_task_of_its_own():
    assert [len(group.requests) for group in GROUPS] == SIZES
    assert set(wordings.CATEGORIES) == set(kinds())
    alone = [group.requests[0].constraints[0].kind for group in GROUPS[:25]]
    assert sorted(alone) == sorted(kinds())


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_each_request_can_be_met_and_says_all_that_is_checked(group):
    pytest.importorskip("py3langid")
    for one in group.requests:
        answer = satisfying(one.constraints)
        kept = followed(one.constraints, answer)
        assert all(kept.strict), (one.input, answer, kept)
        for constraint in one.constraints:
            for name, value in constraint.values:
                if isinstance(value, int):
                    assert str(value) in one.input
                if name in ("word", "phrase", "marker", "letter", "text", "name"):
                    assert str(value) in one.input
                if isinstance(value, tuple):
                    assert all(each in one.input for each in value)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_no_task_is_met_by_whatever_is_said(group):
    wrong = f"Mr. Oak, and VERY nice: {', '.join(wordings.FORBIDDEN)}"
    kept = [followed(one.constraints, wrong).loose for one in group.requests]
    assert not all(map(all, kept))
