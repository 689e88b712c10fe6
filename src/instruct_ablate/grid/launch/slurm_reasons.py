"""Why a job waits, in words: Slurm's own reason, what it means and what to do about it.

The reasons are those of Slurm's "job reason codes" (https://slurm.schedmd.com/job_reason_codes.html).
"""

from __future__ import annotations

import re

_WAITING = re.compile(r"PENDING \((\w+)(.*)\)", re.DOTALL)
_LESS = "cancel it (scancel) and ask for less in hydra.launcher"
_NEVER = "never starts"
_LIMIT = "waits for a limit of your account, until other jobs of it have ended; where none is left, asks for too much"
_MEANINGS = {
    "Priority": "waits for jobs of a higher priority",
    "Resources": (
        "waits until what it asks for is free; where no node has as much (sinfo -N -o '%N %c %m'), it never starts"
    ),
    "BeginTime": "waits for its time to begin: a stopped job that goes on does so after some minutes",
    "Dependency": "waits for the job that it depends on",
    "DependencyNeverSatisfied": f"{_NEVER}: the job that it depends on has failed; scancel it, and run again",
    "JobArrayTaskLimit": "waits for other jobs of its array (hydra.launcher.array_parallelism)",
    "JobHeldUser": "is held: scontrol release JOB lets it go on",
    "JobHeldAdmin": "is held by an administrator",
    "PartitionConfig": f"asks for more than a node of its partition has, and {_NEVER}: {_LESS}",
    "PartitionNodeLimit": f"asks for more nodes than its partition gives, and {_NEVER}: {_LESS}",
    "PartitionTimeLimit": f"asks for more time than its partition gives, and {_NEVER}: {_LESS} (timeout_min)",
    "PartitionDown": "its partition is down: ask the administrators, or name another (hydra.launcher.partition)",
    "PartitionInactive": "its partition takes no jobs: name another (hydra.launcher.partition)",
    "BadConstraints": f"no node is as it asks, and it {_NEVER}: {_LESS}",
    "ReqNodeNotAvail": "a node that it needs is down or reserved",
    "Reservation": "waits for its reservation",
    "Licenses": "waits for a licence",
    "InvalidAccount": f"its account is none here, and it {_NEVER}: name another (hydra.launcher.account)",
    "InvalidQOS": f"its QOS is none here, and it {_NEVER}: name another (hydra.launcher.qos)",
}
# Limits are named by whose they are (QOS, Assoc), of what (Cpu, Node, Jobs, GRES ...) and for whom.
_OF_ONE_JOB = re.compile(r"(?:QOS|Assoc)\w*(?:PerJob|PerNode|WallDuration|TimeLimit)\w*")


def in_words(state: str) -> str:
    """Return what Slurm says of a job, such as `PENDING (Resources)`, with what its reason means where it is known."""
    found = _WAITING.match(state)
    meaning = _meaning(found[1]) if found else ""
    return f"{state}: {meaning}" if meaning else state


def _meaning(reason: str) -> str:
    if _OF_ONE_JOB.fullmatch(reason):
        return f"asks for more than your account may for one job, and {_NEVER}: {_LESS}"
    if reason.startswith(("QOS", "Assoc")) and reason.endswith("Limit"):
        return _LIMIT
    return _MEANINGS.get(reason, "")
