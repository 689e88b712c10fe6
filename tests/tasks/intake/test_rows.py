import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.rows import data_files, label_names, read_rows

ROWS = [{"a": "ä", "b": ["x", "y"]}, {"a": "2", "b": ["z"]}]


def write(path):
    table = pa.Table.from_pylist(ROWS)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        opened = pa.ipc.new_stream if "stream" in path.name else pa.ipc.new_file
        with opened(str(path), table.schema) as writer:
            writer.write_table(table)
    elif path.suffix == ".json":
        path.write_text(json.dumps(ROWS), encoding="utf-8-sig")
    else:
        path.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    return path


@pytest.mark.parametrize("name", ["d.parquet", "file.arrow", "stream.arrow", "d.json", "d.jsonl"])
def test_every_format_gives_the_same_rows(tmp_path, name):
    assert list(read_rows(write(tmp_path / name))) == ROWS


def test_csv_keeps_empty_text(tmp_path):
    (tmp_path / "d.csv").write_text("a,b\nx,\n")
    assert list(read_rows(tmp_path / "d.csv")) == [{"a": "x", "b": ""}]


def test_json_lines_under_the_name_json(tmp_path):
    path = write(tmp_path / "d.jsonl").rename(tmp_path / "d.json")
    assert list(read_rows(path)) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("d.json", b"[{},", "broken JSON at line 1"),
        ("d.jsonl", b"{}\n{", "broken JSON at line 2"),
        ("d.jsonl", b"{}\n3\n", "line 2 is no JSON object, but a number"),
        ("d.json", b"[{}, []]", "item 2 is no JSON object, but a list of 0"),
        ("d.jsonl", b"\xff", "not UTF-8"),
        ("d.parquet", b"PAR1 nothing", "broken parquet"),
        ("d.arrow", b"ARROW1 nothing", "broken arrow"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=why) as caught:
        list(read_rows(tmp_path / name))
    assert name in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        list(read_rows(tmp_path / "absent.jsonl"))


def test_data_files_in_a_fixed_order_without_descriptions(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.json", "sub/a.parquet", "dataset_info.json", "notes.txt", "a.jsonl"):
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in data_files(tmp_path)] == [
        "a.jsonl",
        "b.json",
        "sub/a.parquet",
    ]
    assert data_files(tmp_path / "b.json") == (tmp_path / "b.json",)


@pytest.mark.parametrize("name", ["d.parquet", "file.arrow", "stream.arrow", "d.jsonl"])
def test_files_without_label_names_have_none(tmp_path, name):
    assert label_names(write(tmp_path / name), "a") == ()


@pytest.mark.parametrize("end", ["parquet", "arrow"])
def test_label_names_are_those_of_the_column(tmp_path, end):
    features = {"a": {"names": ["no", "yes"]}, "b": {"dtype": "string"}}
    about = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pa.Table.from_pylist(ROWS).replace_schema_metadata(about)
    path = tmp_path / f"d.{end}"
    if end == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    assert label_names(path, "a") == ("no", "yes")
    assert label_names(path, "b") == label_names(path, "c") == ()


def test_formats_names_that_are_no_data_and_wrapped_rows(tmp_path):
    for name in ("a.jsonl", "b.json", "c.parquet", "d.arrow", "e.csv", "f.tsv", "g.txt", ".hidden.json"):
        (tmp_path / name).touch()
    for name in ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"):
        (tmp_path / name).touch()
    assert [path.name[0] for path in data_files(tmp_path)] == list("abcdef")
    for name in ("data", "rows", "examples", "records", "instances"):
        (tmp_path / "b.json").write_text(json.dumps({"version": 1, name: [{"a": "1"}]}))
        assert list(read_rows(tmp_path / "b.json")) == [{"a": "1"}]
