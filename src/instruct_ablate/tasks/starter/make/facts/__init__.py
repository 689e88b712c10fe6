"""The fact tables: one row a line, columns parted by `|`, alternatives inside a column by `;`."""

from pathlib import Path


def rows(table: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a table, each a tuple of its columns."""
    text = (Path(__file__).parent / f"{table}.txt").read_text(encoding="utf-8")
    return tuple(tuple(line.split("|")) for line in text.splitlines() if line)
