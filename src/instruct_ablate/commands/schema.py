"""`instruct-ablate schema`: the JSON schema of the configuration, for editors."""

from __future__ import annotations

import click

from instruct_ablate.terminal import echo, print_json


@click.command()
@click.option("--markdown", is_flag=True, help="The page docs/configuration.md instead.")
def command(markdown: bool) -> None:
    """Print the JSON schema of a cell's configuration. It is made from the dataclasses that check it.

    instruct-ablate schema > instruct-ablate.schema.json
    """
    from instruct_ablate.pages.schema_page import configuration_page, json_schema

    if markdown:
        echo(configuration_page().removesuffix("\n"))
    else:
        print_json(json_schema())
