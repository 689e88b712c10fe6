"""What the cell's state takes from inside OmegaConf is so; a failure names what moved."""

from __future__ import annotations

from omegaconf import OmegaConf

from instruct_ablate.cell.state.omegaconf_internals import as_yaml

SHARED = ["one", 2]
TREE = {
    "texts": [
        "yes",
        "no",
        "1",
        "1e3",
        "1_000",
        ".5",
        "null",
        "~",
        "",
        " a",
        "a: b",
        "# c",
        "it's",
        "${x.y}",
        "???",
    ],
    "long": "word " * 40,
    "lines": "first\nsecond\n",
    "odd": "\u00e9 \u2028 \U0001f600 \t \x07 \ufeff",
    "numbers": (1, -2.5, 1e-05, 1e20, float("inf"), True, None),
    "shared": {"first": SHARED, "second": SHARED, "1": {}, "empty": []},
}


def test_a_tree_has_the_text_that_its_nodes_have() -> None:
    assert as_yaml(TREE) == OmegaConf.to_yaml(OmegaConf.create(TREE)), "OmegaConf writes YAML in another way"
    assert "&id" not in as_yaml(TREE)
