import hashlib
from dataclasses import replace

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks, reader
from instruct_ablate.tasks.task import Instance, TaskCollection
from tests.conftest import make_task

RETURNED = {}
CONFIG = TasksConfig(reader=f"{__name__}.own")


@reader
def own(config):
    return RETURNED["collection"]


def read(tmp_path, *test, train=(), content_hash="", config=CONFIG):
    RETURNED["collection"] = TaskCollection("own", train, test, content_hash)
    return read_tasks(config, tmp_path)


def test_good_tasks_come_back_as_they_are(tmp_path):
    collection = read(tmp_path, make_task(), train=[make_task("other")], content_hash="mine")
    assert (collection.test, collection.train) == ((make_task(),), (make_task("other"),))
    assert (collection.content_hash, collection.notes) == ("mine", ())
    assert len(list((tmp_path / "tasks" / "own").glob("*"))) >= 1


def test_odd_rows_pass_the_same_gate_as_those_of_files(tmp_path):
    instances = [
        Instance(1, "a\ud83d", "positive"),  # type: ignore[arg-type]
        Instance(1, "b", ["negative"]),  # type: ignore[arg-type]
        Instance(None, 3, ("positive",)),  # type: ignore[arg-type]
    ]
    collection = read(tmp_path, make_task(instances=instances))
    assert [one.id for one in collection.test[0].instances] == ["1", "1#2", "task1_sentiment-2"]
    assert [one.input for one in collection.test[0].instances] == ["a\ufffd", "b", "3"]
    assert [one.references for one in collection.test[0].instances] == [
        ("positive",),
        ("negative",),
        ("positive",),
    ]
    assert "task1_sentiment: repeated instance id numbered" in collection.notes


def test_choices_of_repeated_ids_go_by_their_place(tmp_path):
    instances = (Instance("a", "x", ("p",)), Instance("a", "y", ("q",)))
    given = make_task(
        instances=instances, label_space=None, answer_choices=(("a", ("p", "r")), ("a", ("q", "s")))
    )
    (made,) = read(tmp_path, given).test
    assert made.answer_choices == (("a", ("p", "r")), ("a#2", ("q", "s")))


def test_what_cannot_be_used_is_told_at_once(tmp_path):
    bad = make_task("bad", instances=(Instance("a", "x", ({"b": 1},)),))  # type: ignore[arg-type]
    with pytest.raises(UserErrors) as caught:
        read(tmp_path, make_task(), make_task(), bad)
    first, second = sorted(caught.value.faults)
    assert "2 tasks of one side are called 'task1_sentiment'" in first
    assert "task 'bad': instance 1: 'output' holds an object (b)" in second
    with pytest.raises(UserError, match="returned no test task"):
        read(tmp_path)
    with pytest.raises(UserError, match="must return Tasks, not str"):
        read(tmp_path, "task")


def test_the_hash_is_made_from_the_tasks_where_none_is_given(tmp_path):
    first = read(tmp_path, make_task()).content_hash
    assert len(first) == 64
    assert read(tmp_path, make_task()).content_hash == first
    other = replace(make_task(), definition="Another.")
    assert read(tmp_path, other).content_hash != first
    assert read(tmp_path, make_task(), train=[other]).content_hash not in ("", first)


def test_one_hash_for_two_contents_is_refused(tmp_path):
    read(tmp_path, make_task(), content_hash="v1")
    read(tmp_path, make_task(), content_hash="v1")
    with pytest.raises(UserError, match="returned other tasks than before under the same content_hash 'v1'"):
        read(tmp_path, make_task(count=4), content_hash="v1")
    assert read(tmp_path, make_task(count=4), content_hash="v2").content_hash == "v2"
    assert read(tmp_path, make_task(count=4), content_hash="v1", config=replace(CONFIG, split="other"))


def test_a_collection_that_has_moved_is_still_under_its_hash(tmp_path):
    read(tmp_path, make_task(), content_hash="v1", config=replace(CONFIG, root="here"))
    with pytest.raises(UserError, match="other tasks than before"):
        read(tmp_path, make_task(count=4), content_hash="v1", config=replace(CONFIG, root="there"))


def test_languages_are_part_of_what_is_hashed_and_tasks_without_are_as_before(tmp_path):
    plain, spoken = make_task(), replace(make_task(), languages=("Hindi",))
    assert not plain.languages
    hashes = [
        read(tmp_path, one).content_hash for one in (plain, spoken, replace(spoken, languages=("French",)))
    ]
    assert len(set(hashes)) == 3
    told = f"test {plain!r} {plain.answer_choices!r} {tuple(plain.instances)!r}".encode()
    assert hashes[0] == hashlib.sha256(told).hexdigest()
