from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.configuration.folders import config_directory


def test_the_config_groups_lie_in_the_package_or_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "src" / "instruct_ablate" / "configuration" / "folders.py"
    monkeypatch.setattr("instruct_ablate.configuration.folders.__file__", str(module))
    assert config_directory() == tmp_path / "conf"
    (module.parents[1] / "conf").mkdir(parents=True)
    assert config_directory() == module.parents[1] / "conf"
