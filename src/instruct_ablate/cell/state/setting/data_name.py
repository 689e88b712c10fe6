"""The name of a data set in tables: that of its choice, as long as the choice's own reader has read it."""

from __future__ import annotations

# The shipped choices of `tasks` by their reader (conf/tasks).
READER_OF_CHOICE = {
    "natural_instructions": "natural_instructions", "p3": "p3", "instruction_json": "instruction_json",
    "hf_dataset": "hf_dataset", "mixture": "mixture", "starter": "starter", "starter_yes_no": "starter",
    "verifiable": "verifiable", "everyday": "everyday", "ifeval_format": "ifeval_format",
}  # fmt: skip


def data_name(name: str | None, reader: str) -> str:
    """Return what tables show for a data set; the reader in place of a shipped choice whose reader was exchanged.

    `tasks.reader=my_tasks.parity` alone leaves the group at its default: nothing of `starter` was read.
    """
    exchanged = name in READER_OF_CHOICE and READER_OF_CHOICE[name] != reader
    return reader if name is None or exchanged else name
