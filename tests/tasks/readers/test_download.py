import json
import subprocess

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.readers import download
from tests.tasks.layout import write_collection


def git(*arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    root = write_collection(tmp_path / "repository", {"task1_a": {}}, {"task2_b": {}})
    git("init", str(root))
    git("-C", str(root), "add", ".")
    git("-C", str(root), "commit", "-m", "tasks")
    git("-C", str(root), "tag", "v2.8")
    return root.as_uri()


def test_clones_once_and_keeps_the_checksum(repository, tmp_path, monkeypatch, capfd):
    folder = download.natural_instructions(tmp_path / "cache", url=repository)
    manifest = json.loads((folder / download.MANIFEST).read_text())
    assert manifest["tag"] == "v2.8"
    assert len(manifest["commit"]) == 40
    assert manifest["sha256"] == download.checksum(folder)
    assert not (folder / ".git").exists()
    assert "downloading" in capfd.readouterr().err
    monkeypatch.setattr(subprocess, "run", None)
    assert download.natural_instructions(tmp_path / "cache", url=repository) == folder


def test_the_reader_downloads_where_no_root_is_given(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(download.natural_instructions, "__defaults__", (repository, "v2.8"))
    collection = read_tasks(TasksConfig(reader="natural_instructions"), tmp_path / "cache")
    assert [task.name for task in (*collection.train, *collection.test)] == ["task1_a", "task2_b"]


@pytest.fixture
def local(repository, monkeypatch):
    for function in (download.natural_instructions, download.heal):
        monkeypatch.setattr(function, "__defaults__", (repository, "v2.8"))
    return repository


def read(cache):
    return read_tasks(TasksConfig(reader="natural_instructions"), cache)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks/task1_a.json", "{"),
        ("tasks/task1_a.json", None),
        ("splits/default/train_tasks.txt", "{"),
        ("splits/default/train_tasks.txt", ""),
        ("manifest.json", "{"),
    ],
)
def test_a_damaged_copy_is_put_aside_and_downloaded_again(local, tmp_path, caplog, name, text):
    folder = download.natural_instructions(tmp_path / "cache", url=local)
    expected = read(tmp_path / "expected").content_hash
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    assert read(tmp_path / "cache").content_hash == expected
    assert read(tmp_path / "cache").content_hash == expected
    assert download.damage(folder) is None
    assert folder.with_name(f"{folder.name}.damaged-1").is_dir()
    assert "is downloaded again" in caplog.text
    assert "is another than before" not in caplog.text


def test_where_nothing_can_be_downloaded_the_damaged_copy_is_refused(local, tmp_path):
    folder = download.natural_instructions(tmp_path / "cache", url=local)
    (folder / "tasks" / "task1_a.json").write_text("{")
    download.heal.__defaults__ = ((tmp_path / "nowhere").as_uri(), "v2.8")
    for _ in range(2):
        with pytest.raises(UserError, match="and downloading it again failed: could not download") as caught:
            read(tmp_path / "cache")
        assert "\n" not in str(caught.value)
    assert (folder / "tasks" / "task1_a.json").read_text() == "{"


def test_a_tag_that_was_moved_is_said(local, tmp_path, caplog):
    folder = download.natural_instructions(tmp_path / "cache", url=local)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "sha256": "0" * 64}))
    assert download.heal(folder)
    assert f"is another than before: sha256 {manifest['sha256']}, not {'0' * 64}" in caplog.text


def test_a_folder_that_is_no_whole_download_is_put_aside(repository, tmp_path, caplog):
    folder = download.natural_instructions(tmp_path / "cache", url=repository)
    (folder / "manifest.json").unlink()
    (folder / "mine").touch()
    assert not (download.natural_instructions(tmp_path / "cache", url=repository) / "mine").exists()
    assert (folder.with_name(f"{folder.name}.damaged-1") / "mine").exists()
    assert "is put aside as" in caplog.text


@pytest.mark.parametrize("tag", ["v2.8", "absent"])
def test_no_network_or_no_such_tag_says_what_to_do(repository, tmp_path, tag):
    url = repository if tag == "absent" else (tmp_path / "nowhere").as_uri()
    with pytest.raises(UserError, match=r"tasks\.root=FOLDER, or use tasks=starter"):
        download.natural_instructions(tmp_path / "cache", url=url, tag=tag)
    assert not [path for path in (tmp_path / "cache" / "downloads").iterdir() if path.is_dir()]


def test_a_repository_without_tasks(tmp_path):
    (tmp_path / "other").mkdir()
    git("init", str(tmp_path / "other"))
    git("-C", str(tmp_path / "other"), "commit", "--allow-empty", "-m", "empty")
    git("-C", str(tmp_path / "other"), "tag", "v2.8")
    with pytest.raises(UserError, match=r"no folders tasks/ and splits/"):
        download.natural_instructions(tmp_path / "cache", url=(tmp_path / "other").as_uri())


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="git is not installed"):
        download.natural_instructions(tmp_path / "cache")
