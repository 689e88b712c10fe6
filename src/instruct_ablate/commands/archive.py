"""`instruct-ablate archive STUDY FILE`: all that a study's numbers rest on, in one file."""

from __future__ import annotations

from pathlib import Path

import click

from instruct_ablate.plural import counted
from instruct_ablate.terminal import echo


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
def command(study: Path, file: Path) -> None:
    """Write all that the numbers of STUDY rest on into FILE. That is predictions, records, claims, versions, report.

    FILE ends in .tar.zst, .tar.gz or .zip; the same study gives the same bytes.

    instruct-ablate archive multirun/ablation ablation.tar.gz
    """
    from instruct_ablate.archive.pack import pack

    packed = pack(study, file)
    for name in packed.lacking:
        echo(f"not there, so not in the archive: {name}", err=True)
    for told in packed.changed:
        echo(told, err=True)
    size = file.stat().st_size / 2**20
    echo(f"{file}: {counted(packed.cells, 'cell')}, {counted(packed.files, 'file')}, {size:.1f} MiB")
