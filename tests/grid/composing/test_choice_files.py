"""What a choice's file alone tells is what Hydra would compose; where more than the file counts, Hydra is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.grid.composing.choice_files import ChoiceFiles
from instruct_ablate.grid.composing.composer import Composer
from tests.grid.composing.test_composer import Loader, loader  # noqa: F401


@pytest.mark.parametrize(
    ("group", "choice"),
    [("instruction", "no_examples"), ("data_budget", "8"), ("model", "pretrained"), ("trainer", "kung_peng")],
)
def test_a_part_is_what_hydra_composes(loader: Loader, group: str, choice: str) -> None:  # noqa: F811
    composed, _ = Composer(loader, None)._by_hydra((f"{group}='{choice}'",))
    part = ChoiceFiles(loader, None).part((), group, choice)
    assert repr(part) == repr(composed[group])


def test_hydra_is_asked_where_more_than_the_file_counts(loader: Loader) -> None:  # noqa: F811
    files = ChoiceFiles(loader, None)
    assert files.part((), "trainer", "ddp") is None, "it has defaults of its own"
    assert files.part((), "model", "no_such_one") is None
    beside = ("experiment=kung_peng_examples",)
    assert files.part(beside, "instruction", "delusive") is None, "the experiment sets keys of the group"
    assert files.part(beside, "model", "tiny_t5") is not None, "and of this one none"


def test_hydra_is_asked_where_further_folders_are_searched(loader: Loader) -> None:  # noqa: F811
    def master(*searched: str) -> Any:
        hydra = SimpleNamespace(overrides=SimpleNamespace(hydra=[]), searchpath=[*searched])
        return SimpleNamespace(hydra=hydra)

    assert ChoiceFiles(loader, master("file://elsewhere")).part((), "data_budget", "8") is None
    assert ChoiceFiles(loader, master()).part((), "data_budget", "8") is not None


def test_hydra_is_asked_where_a_choice_hangs_on_another(
    loader: Loader,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files, loaded = ChoiceFiles(loader, None), ChoiceFiles._loaded

    def hanging(self: ChoiceFiles, path: str) -> Any:
        found = loaded(self, path)
        if path == "config":
            found.defaults_list = [SimpleNamespace(group="prompt", value="${model}_prompt")]
        return found

    monkeypatch.setattr(ChoiceFiles, "_loaded", hanging)
    assert files.part((), "data_budget", "8") is None
