from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instruct_ablate.prompt.sample import render_each
from instruct_ablate.schema import PromptConfig
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.standins import make_config


def test_the_first_test_instance_stands_whole_under_each_template(tmp_path: Path) -> None:
    task, bare = make_task(), make_task("task2_bare", count=0)
    config = make_config(tmp_path, prompt=PromptConfig("plain+set_12/bars", max_source_length=3))
    shown = dict(render_each(config, TaskCollection("x", (), (bare, task), "")))
    assert list(shown) == ["plain", "set_12/bars"]
    assert all(task.instances[0].input.strip() in text for text in shown.values())
    assert all(task.definition in text for text in shown.values())
    alone = replace(config, prompt=PromptConfig("plain"))
    assert render_each(alone, TaskCollection("x", (), (task,), "")) == ()
    assert render_each(config, TaskCollection("x", (), (bare,), "")) == ()
