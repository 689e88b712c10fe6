from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from instruct_ablate.command_line import group
from instruct_ablate.configuration.composition import keys
from instruct_ablate.pages.schema_page import configuration_page, json_schema

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_current() -> None:
    said = "make it again: instruct-ablate schema --markdown > docs/configuration.md"
    assert PAGE.read_text(encoding="utf-8") == configuration_page(), said


def names(node: dict[str, Any], before: str = "") -> list[str]:
    inner = node.get("properties", {})
    return [one for name, part in inner.items() for one in (before + name, *names(part, f"{before}{name}."))]


def test_every_key_is_in_the_schema_with_its_type_and_default() -> None:
    made = json_schema()
    assert names(made) == list(keys())
    trainer = made["properties"]["trainer"]["properties"]
    assert trainer["epochs"] == {"default": 1.0, "type": "number"}
    assert trainer["max_steps"] == {"default": None, "anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert "default" not in made["properties"]["tasks"]["properties"]["reader"]
    page = configuration_page()
    assert all(f"| `{key}` |" in page for key in keys() if "." in key)


def test_the_command_prints_either() -> None:
    assert json.loads(CliRunner().invoke(group, ["schema"]).output) == json_schema()
    assert CliRunner().invoke(group, ["schema", "--markdown"]).output == configuration_page()


def test_what_editors_read_of_a_key() -> None:
    made = json_schema()
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (made["type"], made["description"]) == ("object", "One cell of a grid, and how it is run.")
    trainer, tasks = (made["properties"][name] for name in ("trainer", "tasks"))
    assert (trainer["type"], trainer["description"]) == ("object", "Optimisation and device.")
    assert "$schema" not in trainer
    own = tasks["properties"]
    assert own["reader"] == {
        "description": "a registered reader, or module.function of your own",
        "type": "string",
    }
    assert own["categories"] == {
        "description": "keep only these; empty: all",
        "default": [],
        "type": "array",
        "items": {"type": "string"},
    }
    assert own["columns"]["type"] == "object"
    assert own["columns"]["additionalProperties"] == {"type": "string"}
    assert trainer["properties"]["compile"] == {"default": False, "type": "boolean"}
