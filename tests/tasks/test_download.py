import json
import subprocess

import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks import download
from instruct_ablate.tasks.collection import read_tasks
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


def test_a_changed_copy_is_refused(repository, tmp_path, monkeypatch):
    folder = download.natural_instructions(tmp_path / "cache", url=repository)
    download.verify(folder)
    file = folder / "tasks" / "task1_a.json"
    file.write_text(file.read_text() + " ")
    with pytest.raises(UserError, match="differs from what was downloaded"):
        download.verify(folder)
    monkeypatch.setattr(download.natural_instructions, "__defaults__", (repository, "v2.8"))
    with pytest.raises(UserError, match="delete the folder"):
        read_tasks(TasksConfig(reader="natural_instructions"), tmp_path / "cache")


@pytest.mark.parametrize("name", ["splits/default/train_tasks.txt", "tasks/task1_a.json", "manifest.json"])
def test_a_copy_that_cannot_be_read_is_refused_in_one_line(repository, tmp_path, monkeypatch, name):
    folder = download.natural_instructions(tmp_path / "cache", url=repository)
    monkeypatch.setattr(download.natural_instructions, "__defaults__", (repository, "v2.8"))
    (folder / name).write_text("{")
    with pytest.raises(UserError, match="to download it again") as caught:
        read_tasks(TasksConfig(reader="natural_instructions"), tmp_path / "cache")
    assert "\n" not in str(caught.value)


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
