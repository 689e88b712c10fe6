"""The hub: private unless asked otherwise, and its refusals in one message. Nothing is really uploaded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from instruct_ablate.errors import UserError
from instruct_ablate.hub import upload


class Stand:
    """Stands in for the hub's client."""

    calls: list[dict[str, Any]]
    fault: Exception | None = None

    def __init__(self) -> None:
        type(self).calls = []

    def create_repo(self, name: str, **given: Any) -> Any:
        self.calls.append({"name": name, **given})
        if self.fault is not None:
            raise self.fault
        return SimpleNamespace(repo_id=f"me/{name}")

    def upload_folder(self, **given: Any) -> None:
        self.calls.append(given)


def test_a_folder_is_uploaded_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", Stand)
    assert "me/mine" in upload(tmp_path, "mine")
    made, sent = Stand.calls
    assert made == {"name": "mine", "private": True, "exist_ok": True}
    assert (sent["repo_id"], sent["folder_path"]) == ("me/mine", tmp_path)


def test_what_the_hub_refuses_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", Stand)
    monkeypatch.setattr(Stand, "fault", OSError("401 who are you\nmore"))
    with pytest.raises(UserError, match=r"401 who are you. `hf auth login`"):
        upload(tmp_path, "mine")
