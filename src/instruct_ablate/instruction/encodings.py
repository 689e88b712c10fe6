"""How one example may be encoded in training: by the cell's instruction, or by Tk-Instruct's five at random.

Tk-Instruct draws one of five encodings each time an example is seen, so that a model learns to do with each.
"""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.schema import DataConfig, InstructionConfig

ENCODINGS = ("one", "tk_instruct")
_SHOWN = 2  # examples of a kind


def encodings(config: InstructionConfig, data: DataConfig) -> tuple[InstructionConfig, ...]:
    """Return the instructions among which training draws, in Tk-Instruct's order; the last shows most of a variant.

    The cell's variants stay; how many examples there are, and explanations, is up to the encoding.
    """
    if data.encodings == "one":
        return (config,)
    definition = replace(config, num_positive=0, num_negative=0, explanations=False)
    both = replace(definition, num_positive=_SHOWN)
    return (
        definition,
        replace(both, definition="empty"),
        both,
        replace(both, num_negative=_SHOWN),
        replace(both, explanations=True),
    )
