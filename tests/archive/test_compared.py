"""Two files of one table: what they say, not how they say it."""

from __future__ import annotations

import io

import pytest

from instruct_ablate.archive.compared import Likeness, likeness

TEX = "% needs booktabs\n\\begin{tabular}{lr}\na & 50.0 \\\\\n\\end{tabular}\n\\caption{s: means over 2 seeds.}\n"
MD = "| a | b |\n| --- | ---: |\n| one | 1,234.50 |\n\nMeans of 3 cells.\n"
SAID = "✓ supported: a equals b on rougeL within 2\n    tiny: supported; rougeL +0.10 points (2 seeds, 1 tasks)\n"


@pytest.mark.parametrize(
    ("name", "now", "then", "found"),
    [
        ("t.tex", "means", "averages", "in words"),
        ("t.tex", "50.0", "50.00", "in words"),
        ("t.tex", "50.0", "50.1", "no"),
        ("t.tex", "a &", "b &", "no"),
        ("t.tex", "{lr}", "{lrr}", "no"),
        ("t.tex", "2 seeds", "3 seeds", "around rows"),
        ("t.tex", "a & 50.0", "a & \\textbf{50.0}", "no"),
        ("t.md", "Means", "Averages", "in words"),
        ("t.md", "1,234.50", "1234.5", "in words"),
        ("t.md", "3 cells", "4 cells", "around rows"),
        ("t.md", "one", "two", "no"),
        ("t.txt", "1 tasks", "1 task", "in words"),
        ("t.txt", "+0.10", "-0.10", "no"),
        ("t.txt", "✓ ", "? ", "no"),
        ("t.txt", "tiny: supported", "tiny: refuted", "no"),
    ],
)
def test_what_is_said(name: str, now: str, then: str, found: Likeness) -> None:
    text = {"tex": TEX, "md": MD, "txt": SAID}[name.partition(".")[2]]
    assert now in text
    assert likeness(name, text.encode(), text.replace(now, then).encode()) == found


def test_the_caption_of_a_table_over_several_pages_is_no_row() -> None:
    """Before: LaTeX's long tables differed for the words of their caption, which ends as a row does."""
    text = "\\begin{longtable}{lr}\n\\caption{s: means over 2 seeds.} \\\\\na & 50.0 \\\\\n\\end{longtable}\n"
    for now, then, found in (
        ("means", "averages", "in words"),
        ("2 seeds", "3 seeds", "around rows"),
        ("a &", "b &", "no"),
        ("{lr}", "{lrr}", "no"),
    ):
        assert likeness("t.tex", text.encode(), text.replace(now, then).encode()) == found


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ('a,"b\n1"\n2,3.0\n', 'a,"b\n1"\n2,3\n', "in words"),
        ("a,b\n1,2\n", "a,b\n1,3\n", "no"),
        ("a,b\n1,x\n", "a,b\n1,y\n", "no"),
        ("a,b\n1,2\n", "a,b\n1,2\n3,4\n", "no"),
        ("a\n3e999ab\n", "a\n4e998ab\n", "no"),  # pieces of hashes, which no float tells apart
        ("a\n1.2.3\n", "a\n1.20.3\n", "no"),  # versions
        ("a\n9007199254740993\n", "a\n9007199254740992\n", "no"),
        (f"a\n1e{30 * '9'}\n", f"a\n1e{29 * '9'}8\n", "no"),
    ],
)
def test_cells_of_csv(one: str, other: str, found: Likeness) -> None:
    assert likeness("t.csv", one.encode(), other.encode()) == found


def test_json_is_what_it_holds() -> None:
    assert likeness("t.json", b'{"a": [1, "x"]}', b'{ "a" : [1,"x"]}') == "in words"
    assert likeness("t.json", b'{"a": 1}', b'{"a": 2}') == "no"
    assert likeness("t.json", b'{"a": 1}', b"{") == "no"
    assert likeness("t.json", b'{"a": 1}', b'{"a": true}') == "no"
    assert likeness("t.json", b'{"a": NaN}', b'{ "a": NaN}') == "in words"
    assert likeness("t.md", b"\xff", b"a") == "no"


def test_parquet_is_what_its_columns_hold() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    def written(values: list[float], **how: str) -> bytes:
        file = io.BytesIO()
        parquet.write_table(pa.table({"a": values}), file, **how)
        return file.getvalue()

    nan = float("nan")
    assert likeness("t.parquet", written([1.0, nan]), written([1.0, nan], compression="none")) == "in words"
    assert likeness("t.parquet", written([1.0]), written([2.0])) == "no"
    assert likeness("t.parquet", written([1.0]), written([1.0, 1.0])) == "no"
    assert likeness("t.parquet", written([1.0]), b"PAR1 of nobody") == "no"
