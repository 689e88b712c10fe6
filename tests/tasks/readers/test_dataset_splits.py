import datasets
import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled, RepositoryNotFoundError

from instruct_ablate.errors import Interrupted, UserError, UserErrors
from instruct_ablate.hub import WAIT
from instruct_ablate.tasks.readers.dataset_splits import ask_hub, find_splits, loading

LABELS = datasets.Features({"a": datasets.Value("string"), "b": datasets.ClassLabel(names=["no", "yes"])})
DATA = datasets.Dataset.from_list([{"a": "007", "b": 1}, {"a": "null", "b": 0}], features=LABELS)


def found(root, tmp_path, column="b"):
    with find_splits(str(root), tmp_path / "cache") as splits:
        return {
            name: ([dict(row) for row in split.rows()], split.label_names(column))
            for name, split in splits.items()
        }


ROWS = [{"a": "007", "b": 1}, {"a": "null", "b": 0}]


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow"])
def test_one_file_is_the_training_split_and_brings_its_label_names(tmp_path, name):
    if name.endswith("parquet"):
        DATA.to_parquet(str(tmp_path / name))
    else:
        DATA.save_to_disk(str(tmp_path / "saved"))
        next((tmp_path / "saved").glob("*.arrow")).rename(tmp_path / name)
    assert found(tmp_path / name, tmp_path) == {"train": (ROWS, ("no", "yes"))}


@pytest.mark.parametrize("several", [True, False])
def test_what_save_to_disk_wrote(tmp_path, several):
    data = datasets.DatasetDict({"train": DATA, "test": DATA.select([0])}) if several else DATA
    data.save_to_disk(str(tmp_path / "saved"))
    splits = found(tmp_path / "saved", tmp_path)
    assert splits["train"] == (ROWS, ("no", "yes"))
    assert set(splits) == ({"train", "test"} if several else {"train"})


def test_files_of_a_folder_by_name_or_readme_and_text_stays_text(tmp_path):
    root = tmp_path / "own"
    root.mkdir()
    (root / "train.csv").write_text("a,b\n007,null\n")
    (root / "dev.csv").write_text("a,b\n,1.50\n")
    assert found(root, tmp_path) == {
        "train": ([{"a": "007", "b": "null"}], ()),
        "validation": ([{"a": "", "b": "1.50"}], ()),
    }
    about = "configs:\n- config_name: default\n  data_files:\n  - split: other\n    path: dev.csv\n"
    (root / "README.md").write_text(f"---\n{about}---\n")
    assert set(found(root, tmp_path)) == {"other"}
    assert not (tmp_path / "cache").exists(), "no copy stays"


def test_other_formats_are_left_to_the_library(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "train.txt").write_text("one\ntwo\n")
    assert found(tmp_path / "own", tmp_path, "text")["train"][0] == [{"text": "one"}, {"text": "two"}]
    assert not (tmp_path / "cache").exists()


def test_what_the_library_says_is_one_line_and_its_faults_are_its_own(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"`datasets` cannot load it: .+") as caught:
        found(tmp_path / "empty", tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(TypeError):
        loading("x", lambda: len(3))  # type: ignore[arg-type]


def test_of_a_folder_of_several_formats_the_library_takes_the_most_common(tmp_path):
    (tmp_path / "own").mkdir()
    for name, text in (("train-0.txt", "one\n"), ("train-1.txt", "two\n"), ("train-2.csv", "text\nx\n")):
        (tmp_path / "own" / name).write_text(text)
    assert found(tmp_path / "own", tmp_path, "text") == {"train": ([{"text": "one"}, {"text": "two"}], ())}


def test_a_missing_part_is_refused(tmp_path):
    root = tmp_path / "own"
    root.mkdir()
    for number in range(3):
        (root / f"train-0000{number}-of-00003.csv").write_text("a,b\nx,y\n")
    assert len(found(root, tmp_path)["train"][0]) == 3
    (root / "train-00001-of-00003.csv").unlink()
    with pytest.raises(UserErrors, match="1 of 3 parts are missing, such as number 1"):
        found(root, tmp_path)


def test_a_folder_without_data_and_a_path_without_a_folder_have_no_splits(tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "README.md").write_text("nothing here")
    for name in ("bare", "nowhere"):
        with pytest.raises(UserError, match=name):
            found(tmp_path / name, tmp_path)


def test_a_folder_that_is_not_here_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = r"there is no such folder or file in .*, and `datasets` cannot load it"
    with pytest.raises(UserError, match=wanted), find_splits("data/no such folder", tmp_path / "cache"):
        pass


def hub(monkeypatch, raises):
    """Let the hub answer once, as told; `datasets` must not be called."""
    asked = []

    def answer(self, name, timeout):
        asked.append((name, timeout))
        if raises is not None:
            raise raises

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", answer)
    monkeypatch.setattr(datasets, "load_dataset", lambda *words, **more: pytest.fail("asked for a minute"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "nowhere")
    return asked


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (RepositoryNotFoundError, "no data set of this name on the hub for you to read"),
        (httpx.ConnectError, "the hub gave no answer (ConnectError: [Errno -2] no"),
        (httpx.ReadTimeout, "the hub gave no answer (ReadTimeout: "),
        (OfflineModeIsEnabled, "the hub gave no answer (OfflineModeIsEnabled: "),
    ],
)
def test_a_name_that_is_nowhere_is_told_after_one_question(tmp_path, monkeypatch, caplog, kind, told):
    caplog.set_level("INFO")
    error = kind.__new__(kind)
    Exception.__init__(error, "[Errno -2] no\nroute")
    asked = hub(monkeypatch, error)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised, find_splits("own/films", tmp_path / "cache"):
        pass
    assert told in str(raised.value)
    assert f"there is no such folder or file in {tmp_path}" in str(raised.value)
    assert asked == [("own/films", WAIT)]
    assert "own/films: there is no such folder or file in" in caplog.text  # before anything is waited for
    assert "asking the Hugging Face hub" in caplog.text


def test_a_hub_error_without_words_is_told_once(tmp_path, monkeypatch):
    """Before: "the hub gave no answer (TimeoutError: TimeoutError)"."""
    hub(monkeypatch, TimeoutError())
    with (
        pytest.raises(UserError, match=r"gave no answer \(TimeoutError\)\. "),
        find_splits("own/films", tmp_path),
    ):
        pass


def test_a_copy_is_read_though_the_hub_be_away(tmp_path, monkeypatch):
    hub(monkeypatch, ConnectionError("no route"))
    with pytest.raises(UserError):
        ask_hub("own/films", tmp_path / "datasets")
    (tmp_path / "datasets" / "own___films").mkdir(parents=True)
    ask_hub("own/films", tmp_path / "datasets")
    with pytest.raises(UserError):
        ask_hub("own/film", tmp_path / "datasets")


@pytest.mark.parametrize(
    ("root", "folder"),
    [("Own/WildFilms", "Own___wild_films"), ("own/P3", "own___p3"), ("WildFilms", "wild_films")],
)
def test_a_copy_is_found_by_the_name_that_datasets_gives_it(tmp_path, monkeypatch, root, folder):
    """Before: one of a name with capitals was refused where the hub is away."""
    hub(monkeypatch, ConnectionError("no route"))
    with pytest.raises(UserError):
        ask_hub(root, tmp_path)
    (tmp_path / folder).mkdir()
    ask_hub(root, tmp_path)


def test_a_cell_that_is_stopped_meanwhile_is_stopped(tmp_path, monkeypatch):
    hub(monkeypatch, Interrupted("told to stop"))
    (tmp_path / "datasets" / "own___films").mkdir(parents=True)
    with pytest.raises(Interrupted):
        ask_hub("own/films", tmp_path / "datasets")


@pytest.mark.parametrize("path", ["/data/none", "./none", "~/none", "a/b/c", "data/no such folder"])
def test_of_a_path_nobody_is_asked(tmp_path, monkeypatch, path):
    asked = hub(monkeypatch, None)
    ask_hub(path, tmp_path)
    assert not asked
    ask_hub("own/films", tmp_path)
    assert asked == [("own/films", WAIT)]
