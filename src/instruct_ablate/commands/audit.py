"""`instruct-ablate audit [OVERRIDES]`: what a variant really does to each task, and whether it keeps its promise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from instruct_ablate.completion import complete_override, config_dir
from instruct_ablate.terminal import json_option

if TYPE_CHECKING:
    from instruct_ablate.schema import Config
    from instruct_ablate.tasks.task import TaskCollection


@click.command()
@click.argument("overrides", nargs=-1, shell_complete=complete_override)
@config_dir
@click.option(
    "--output", default="audit", show_default=True, type=click.Path(path_type=Path), help="Folder to write."
)
@click.option(
    "--label-spaces",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file of published label spaces to compare with: task, list of labels.",
)
@json_option
def command(overrides: tuple[str, ...], output: Path, label_spaces: Path | None, as_json: bool) -> None:
    """Show what a variant does to each task, and check its promise.

    OVERRIDES are those of train.py: instruction=delusive tasks=natural_instructions tasks.root=PATH

    instruct-ablate audit instruction=delusive tasks.test_tasks=5
    """
    from instruct_ablate.cell.state.canonical import effective
    from instruct_ablate.configuration.extensions import load_extensions
    from instruct_ablate.grid.composing.composer import compose_config
    from instruct_ablate.instruction.audit.audit import run_audit
    from instruct_ablate.prompt.sample import render_each
    from instruct_ablate.prompt.template_set import every_template

    config = compose_config(overrides)
    load_extensions(config.extensions)  # first: labels may name what they register
    drawn = replace(config, seed=effective(config).seed)  # as the cell itself draws
    render = _in_chat(drawn) if "chat" in every_template(drawn.prompt) else partial(render_each, drawn)
    sys.exit(run_audit(drawn, output, label_spaces, as_json, render))


def _in_chat(config: Config) -> Callable[[TaskCollection], Sequence[tuple[str, str]]]:
    """Show prompts in the model's own chat format, and what that does to them."""
    from instruct_ablate.model.loading.chat_format import format_lines
    from instruct_ablate.model.loading.checkpoint import load_tokenizer
    from instruct_ablate.model.loading.tokenizer import TokenizerTokens
    from instruct_ablate.prompt.sample import render_each

    tokenizer = load_tokenizer(config.model, Path(config.cache))
    lines = "\n".join(format_lines(tokenizer, config.prompt))
    tokens = TokenizerTokens.of(tokenizer, config.prompt)
    return lambda collection: (
        *render_each(config, collection, tokens),
        ("what the chat template does", lines),
    )
