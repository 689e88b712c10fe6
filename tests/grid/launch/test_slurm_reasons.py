"""Slurm's reasons stand beside what they mean."""

from __future__ import annotations

import pytest

from instruct_ablate.grid.launch.slurm_reasons import in_words


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Resources", "until what it asks for is free; where no node has as much"),
        ("PartitionConfig", "more than a node of its partition has, and never starts"),
        ("BadConstraints", "never starts"),
        ("PartitionTimeLimit", "(timeout_min)"),
        ("QOSMaxCpuPerUserLimit", "waits for a limit of your account, until other jobs"),
        ("AssocGrpNodeLimit", "waits for a limit of your account"),
        ("QOSMaxCpuPerJobLimit", "more than your account may for one job, and never starts"),
        ("QOSMaxWallDurationPerJobLimit", "for one job, and never starts"),
        ("AssociationTimeLimit", "for one job, and never starts"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "down or reserved"),
        ("JobHeldUser", "scontrol release"),
    ],
)
def test_a_reason_is_said_in_words_beside_its_own(reason: str, said: str) -> None:
    told = in_words(f"PENDING ({reason})")
    assert told.startswith(f"PENDING ({reason}): ")
    assert said in told


@pytest.mark.parametrize(
    "state",
    [
        "RUNNING",
        "PENDING",
        "PENDING (SomethingNew)",
        "PENDING (QOSNotAllowed)",
        "Slurm cannot be asked: squeue: OSError",
    ],
)
def test_what_is_not_known_stays_as_slurm_says_it(state: str) -> None:
    assert in_words(state) == state
