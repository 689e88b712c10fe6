from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.readers import starter as shipped
from instruct_ablate.tasks.readers.starter import FIELDS


def test_reads_what_the_package_ships(tmp_path):
    collection = read_tasks(TasksConfig(reader="starter", test_instances=5), tmp_path)
    assert collection.name == "starter"
    assert collection.train
    assert collection.test
    assert all(len(task.instances) == 5 for task in collection.test)
    assert collection.notes == ()


def test_test_categories_are_unseen_in_training(tmp_path):
    collection = read_tasks(TasksConfig(reader="starter"), tmp_path)
    assert not {t.category for t in collection.train} & {t.category for t in collection.test}


def test_the_folder_is_inside_the_package(tmp_path):
    source = shipped.open_source(TasksConfig(reader="starter"), tmp_path)
    assert all(path.is_relative_to(shipped.FOLDER) for path in source.files)


def test_tasks_are_selected_by_all_that_the_layout_knows(tmp_path):
    every = read_tasks(TasksConfig(reader="starter"), tmp_path)
    first, tested = every.train[0], every.test[0]
    spaces = tmp_path / "spaces.yaml"
    spaces.write_text(f"{tested.name}: null\n")
    config = TasksConfig(
        reader="starter",
        train_include=[first.name],
        test_categories=[tested.category],
        test_tasks=1,
        label_spaces=str(spaces),
    )
    selected = read_tasks(config, tmp_path)
    assert selected.train == (first,)
    assert [task.category for task in selected.test] == [tested.category]
    same = TasksConfig(
        reader="starter",
        train_categories=[first.category],
        test_include=[tested.name],
        label_spaces=str(spaces),
    )
    assert tested.label_space is not None
    assert [task.label_space for task in read_tasks(same, tmp_path).test] == [None]
    assert read_tasks(TasksConfig(reader="starter", include=[first.name, tested.name]), tmp_path).train == (
        first,
    )
    both = TasksConfig(reader="starter", categories=[first.category, tested.category])
    assert {task.category for task in read_tasks(both, tmp_path).train} == {first.category}


def test_keys_that_it_reads():
    """Any other key of the group is refused, so one that falls out here is lost to users."""
    assert {
        "categories",
        "include",
        "test_tasks",
        "test_instances",
        "train_on",
        "label_spaces",
        "validation",
        "train_categories",
        "train_include",
        "test_categories",
        "test_include",
    } == FIELDS
