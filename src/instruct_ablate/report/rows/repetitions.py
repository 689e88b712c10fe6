"""Repetitions: whether the seeds of a setting repeat one test, and whether a further one of them says anything more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from instruct_ablate.cell.state.record.record import ScoreBlock
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.metrics import Scores
from instruct_ablate.plural import named

NAMED = 3  # rows that are named

Told = tuple[Setting, str, Sequence[int], Sequence[int]]  # test, seeds that count, seeds of the same answers


def tested_alike(scores: Iterable[Scores]) -> bool:
    """Whether all are of the same tasks, and of as many instances of each; cells without scores say nothing."""
    over = {
        frozenset((task.kind, task.score.name, task.score.instances) for task in one.tasks)
        for one in scores
        if one.tasks
    }
    return len(over) < 2


def same_scores(one: Scores, other: Scores) -> bool:
    """Whether two tests have the same scores, by the metrics that both were scored with: one may have further ones."""
    ours, theirs = one.every, other.every
    if [(mean.name, mean.instances) for mean in ours] != [(mean.name, mean.instances) for mean in theirs]:
        return False
    shared = {name for name, _ in one.overall.values} & {name for name, _ in other.overall.values}
    return all(
        {name: value for name, value in mean.values if name in shared}
        == {name: value for name, value in its.values if name in shared}
        for mean, its in zip(ours, theirs, strict=True)
    )


def same_answers(tests: Iterable[Sequence[ScoreBlock]]) -> bool:
    """Whether the files of predictions of all cells are the same; early records have no checksum.

    These hold the prompts: what the seed draws into them makes other files, whatever the answers.
    """
    files = {tuple(sorted((block.key.template, block.sha256) for block in blocks)) for blocks in tests}
    return len(files) == 1 and all(sha256 for _, sha256 in files.pop())


def names_in(settings: Iterable[Setting], some: Iterable[tuple[Setting, str]]) -> list[str]:
    """Name some rows of a table, settings with what they are tested on, by all that tells its settings apart."""
    tests = tuple(some)
    legend = Legend(settings if tests else ())
    return [f"{legend.place(one, always=('instruction',))} tested on {tested}" for one, tested in tests]


def same_lines(rows: Iterable[Told]) -> tuple[str, ...]:
    """Say of rows whose cells of several seeds have the same answers that they count once, or were seen to."""
    once, alike = dict[str, None](), dict[str, None]()
    every = tuple(rows)
    some = [row for row in every if row[-1]]
    names = names_in((row[0] for row in every), (row[:2] for row in some))
    for name, (_, _, seeds, same) in zip(names, some, strict=True):
        (alike if len(seeds) > 1 else once)[f"{name} (seeds {', '.join(map(str, same))})"] = None
    told = (
        ("counted as one repetition, for whatever the seed the answers are the same", once),
        ("trained apart, with the same answers to every instance in each seed", alike),
    )
    return tuple(f"{what}: {named(list(names), NAMED)}" for what, names in told if names)
