from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks import starter_reader as shipped
from instruct_ablate.tasks.collection import read_tasks


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
