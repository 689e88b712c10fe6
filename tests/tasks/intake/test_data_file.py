import gzip
import os
from pathlib import Path

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.data_file import kind, parse_json, read_json, read_text, reading, stem
from instruct_ablate.tasks.intake.rows import data_files, read_rows

ROW = b'{"a": "x"}\n'


def refusal(path):
    with pytest.raises(UserError) as caught:
        list(read_rows(path))
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert len(said) < 700
    return said


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", b"[" * 1_000_000, "nested too deeply"),
        ("a.jsonl", b'{"a":' * 1_000_000, "nested too deeply"),
        ("a.json", '[{"a": "x"}]'.encode("utf-16"), "not UTF-8 .*it is UTF-16"),
        ("a.csv", "a,b\nx,y\n".encode("utf-16"), "not UTF-8 .*it is UTF-16"),
        ("a.jsonl", b'{"a": "\xff"}', "not UTF-8"),
        ("a.csv", b"a,b\nx\n", "line 2 has 1 fields, but there are 2 columns"),
        ("a.csv", b"a,b\nx,y,z\n", "line 2 has 3 fields"),
        ("a.csv", b"a,a\nx,y\n", "two columns are called 'a'"),
        ("a.jsonl.gz", gzip.compress(ROW, mtime=0)[:-6], "broken|cannot be read"),
        ("a.jsonl.gz", b"\x1f\x8b nothing", "cannot be read"),
        ("a.json", b"PK\x03\x04zip", "it is a zip archive: unpack it first"),
        ("a.parquet", gzip.compress(ROW, mtime=0), "broken parquet"),
        ("a.json", b"3", "holds no rows, but a number"),
        (
            "a.jsonl",
            ROW + b'{"a": "x", "a": "y"}',
            "line 2: the key 'a' stands twice in one object; leave one",
        ),
        ("a.jsonl", b'{"a": "x", "a": "y"}\n' + ROW, "line 1: the key 'a' stands twice"),
        (
            "a.json",
            b'[{"a": "x"},\n{"b": [{"a": "x", "a": "x"}]}]',
            "item 2, 'b', item 1: the key 'a' stands twice",
        ),
        ("a.json", b'{"data": [{"a": {"b": 1, "b": 2}}]}', "'data', item 1, 'a': the key 'b' stands twice"),
    ],
)
def test_faults_of_the_content_are_one_line(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=why):
        list(read_rows(tmp_path / name))
    refusal(tmp_path / name)


def test_pipes_devices_and_folders_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "it is a pipe (FIFO), not a file" in refusal(tmp_path / "pipe.jsonl")
    assert "it is a device" in refusal(Path("/dev/zero"))
    (tmp_path / "folder.json").mkdir()
    assert "it is a folder" in refusal(tmp_path / "folder.json")
    with pytest.raises(UserError, match="FIFO"):
        data_files(tmp_path / "pipe.jsonl")
    assert data_files(tmp_path) == (), "in a folder they are passed over"


def test_a_fault_of_the_code_stays_one(tmp_path):
    for error in (TypeError, AttributeError, KeyError, ImportError, MemoryError):
        with pytest.raises(error), reading(tmp_path):
            raise error("own fault")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.out"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b""])
def test_gzip_byte_order_marks_and_line_ends_make_no_difference(tmp_path, name, mark, end):
    content = mark + ROW.strip() + (end or b"\n") + ROW.strip() + end
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert list(read_rows(tmp_path / name)) == [{"a": "x"}] * 2


def test_fields_of_any_length_and_line_ends_within_them(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'a,b\r\n"x\r\ny",' + b"w" * 150_000 + b"\r\n")
    assert list(read_rows(tmp_path / "a.csv")) == [{"a": "x\ny", "b": "w" * 150_000}]


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": "x"}]', '{"a": "x"}', '{\n "a": "x"\n}', '{"data": [{"a": "x"}]}', '{\n"rows": [{"a": "x"}]}',
        '\n\n {"a": "x"} \n',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_document_is_read_whatever_its_shape_and_name(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert list(read_rows(tmp_path / name)) == [{"a": "x"}]


def test_numbers_as_they_are_spelt():
    assert parse_json('{"a": 1.50, "b": NaN, "c": 10, "d": true, "e": null}') == {
        "a": "1.50", "b": None, "c": "10", "d": True, "e": None,
    }  # fmt: skip


def test_whole_files_and_names(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress('\ufeff["é"]'.encode()))
    assert read_json(tmp_path / "a.json.gz") == ["é"]
    assert read_text(tmp_path / "a.json.gz") == '["é"]'
    assert (kind(Path("x/a.json.gz")), stem(Path("x/a.b.json.gz"))) == (".json", "a.b")
    assert (kind(Path("a.csv")), stem(Path("a.csv")), kind(Path("gz"))) == (".csv", "a", "")
