import multiprocessing
import os
import pickle
import signal
import time
from dataclasses import fields, replace

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.store import Instances, content_key, load_or_build, task_content
from tests.conftest import make_task


def source(*items, files=(), key="k"):
    return Source("own", files, lambda: iter(items), key)


CHOICES = (("a-0", ("x", "y")), ("a-2", ("z",)))
TASKS = (
    Parsed(make_task("a", answer_choices=CHOICES), False, (("English",), (), ()), ("note",)),
    Parsed(make_task("b"), True),
)


def test_what_is_stored_comes_back_equal(tmp_path):
    first, second = load_or_build(source(*TASKS), tmp_path)
    assert first.parsed == TASKS[0]
    assert second.parsed == TASKS[1]
    assert first.digest != second.digest


def test_the_second_time_nothing_is_parsed(tmp_path):
    first = load_or_build(source(*TASKS), tmp_path)
    assert load_or_build(Source("own", (), lambda: 1 / 0, "k"), tmp_path) == first  # type: ignore[arg-type, return-value]


def test_instances_behave_like_a_tuple(tmp_path):
    plain = TASKS[1].task.instances
    stored = load_or_build(source(*TASKS), tmp_path)[1].parsed.task.instances
    assert isinstance(stored, Instances)
    assert (len(stored), stored[0], stored[-1], list(stored)) == (6, plain[0], plain[-1], list(plain))
    for cut in (slice(2), slice(1, 4), slice(None, None, 2), slice(4, 1), slice(-2, None), slice(50)):
        assert stored[cut] == plain[cut]
    assert stored == plain
    assert hash(stored) == hash(plain)
    assert plain[3] in stored
    assert pickle.loads(pickle.dumps(stored)) == plain
    with pytest.raises(IndexError):
        stored[6]


def test_a_file_that_changes_while_it_is_parsed_is_not_stored(tmp_path):
    file = tmp_path / "data"
    file.write_text("one")

    def parse():
        file.write_text("two")
        yield from TASKS

    with pytest.raises(UserError, match="own: a file was changed while it was read; run the command again"):
        load_or_build(Source("own", (file,), parse, "k"), tmp_path)
    assert not list((tmp_path / "tasks").glob("*/tasks.json"))


def test_the_key_follows_content_not_times(tmp_path):
    file = tmp_path / "data"
    file.write_text("one")
    key = content_key(source(files=(file,)), tmp_path)
    os.utime(file, (5, 5))
    assert content_key(source(files=(file,)), tmp_path) == key
    assert content_key(source(files=(file,), key="other"), tmp_path) != key
    file.write_text("two")
    assert content_key(source(files=(file,)), tmp_path) != key
    file.unlink()
    assert content_key(source(files=(file,)), tmp_path) != key


def test_a_change_within_the_same_second_is_a_change(tmp_path, monkeypatch):
    """Same size, same times of writing: only the content tells."""
    file = tmp_path / "data"
    keys = set()
    for text in ("one", "two", "six"):
        file.write_text(text)
        os.utime(file, (5, 5))
        keys.add(content_key(source(files=(file,)), tmp_path))
    assert len(keys) == 3
    assert not (tmp_path / "tasks").exists(), "nothing is noted of a file that was written just now"
    monkeypatch.setattr("instruct_ablate.disk.file_hash.SETTLED", -10)
    for text in ("abc", "def"):
        file.write_text(text)
        os.utime(file, (5, 5))
        keys.add(content_key(source(files=(file,)), tmp_path))
        time.sleep(0.02)
    assert len(keys) == 5
    monkeypatch.setattr("instruct_ablate.tasks.store.sha256_of", None)
    assert content_key(source(files=(file,)), tmp_path) in keys, "a file at rest is not read again"


def test_faults_are_gathered_and_nothing_is_kept(tmp_path):
    with pytest.raises(UserErrors) as caught:
        load_or_build(source(Fault("one"), TASKS[0], Fault("two")), tmp_path)
    assert caught.value.faults == ("one", "two")
    assert not [path for path in (tmp_path / "tasks").iterdir() if path.is_dir() and path.name != "seen"]


def _slow(started, seconds):
    started.set()
    time.sleep(seconds)
    yield TASKS[0]


def _build(cache, started, seconds, built):
    load_or_build(Source("own", (), lambda: _slow(started, seconds), "k"), cache)
    built.put(os.getpid())


def test_a_killed_builder_leaves_nothing_half_made(tmp_path):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    builder = context.Process(target=_build, args=(tmp_path, started, 60, context.Queue()))
    builder.start()
    assert started.wait(200)
    assert builder.pid
    os.kill(builder.pid, signal.SIGKILL)
    builder.join()
    assert list((tmp_path / "tasks").glob("*.unfinished")), "it was at work"
    assert load_or_build(source(*TASKS), tmp_path)[0].parsed == TASKS[0]
    assert not list((tmp_path / "tasks").glob("*.unfinished")), "what it left is gone"


def test_of_two_builders_one_waits_and_maps(tmp_path):
    context = multiprocessing.get_context("fork")
    started, second, built = context.Event(), context.Event(), context.Queue()
    workers = [
        context.Process(target=_build, args=(tmp_path, event, 0.5, built)) for event in (started, second)
    ]
    workers[0].start()
    assert started.wait(200)
    workers[1].start()
    pids = {built.get(timeout=200) for _ in workers}
    for worker in workers:
        worker.join()
    assert pids == {worker.pid for worker in workers}
    assert not second.is_set(), "the second parsed nothing"


@pytest.mark.parametrize("name", ["instances.arrow", "tasks.json"])
def test_a_damaged_store_is_parsed_again(tmp_path, name):
    load_or_build(source(*TASKS), tmp_path)
    path = next((tmp_path / "tasks").glob(f"*/{name}"))
    os.truncate(path, path.stat().st_size // 2)
    assert load_or_build(source(*TASKS), tmp_path)[0].parsed == TASKS[0]
    again = load_or_build(Source("own", (), lambda: 1 / 0, "k"), tmp_path)  # type: ignore[arg-type, return-value]
    assert again[1].parsed == TASKS[1]


@pytest.mark.parametrize("content", ["", "0" * 32, "[1]", "null"])
def test_a_damaged_note_of_a_key_is_not_believed(tmp_path, content, monkeypatch):
    monkeypatch.setattr("instruct_ablate.disk.file_hash.SETTLED", -10)  # as if written long ago
    file = tmp_path / "data"
    file.write_text("one")
    key = content_key(source(files=(file,)), tmp_path)
    memo = next((tmp_path / "tasks" / "seen").iterdir())
    memo.write_text(content)
    assert content_key(source(files=(file,)), tmp_path) == key
    other = tmp_path / "other"
    other.write_text("two")
    content_key(source(files=(other,)), tmp_path)
    note = next(path for path in memo.parent.iterdir() if path != memo)
    memo.write_text(note.read_text())  # a note of another file
    assert content_key(source(files=(file,)), tmp_path) == key


def test_a_tasks_content_is_all_that_it_holds(tmp_path):
    stored = load_or_build(source(*TASKS), tmp_path)[0].parsed.task
    assert stored.instances.digest
    plain = TASKS[0].task
    seen = [task_content(plain), task_content(stored)]
    for field in fields(stored):
        if field.name != "instances":
            seen.append(task_content(replace(stored, **{field.name: ("other",)})))
    seen += [task_content(replace(stored, instances=stored.instances[:part])) for part in (2, 3)]
    seen.append(task_content(replace(plain, instances=plain.instances[::-1])))
    assert len(set(seen)) == len(seen)
    again = load_or_build(source(*TASKS), tmp_path)[0].parsed.task
    assert task_content(again) == task_content(stored)
    other = Parsed(replace(plain, instances=plain.instances[::-1]), False, (("English",), (), ()), ("note",))
    turned = load_or_build(source(other, TASKS[1], key="other"), tmp_path)[0].parsed.task
    assert task_content(turned) != task_content(stored)
