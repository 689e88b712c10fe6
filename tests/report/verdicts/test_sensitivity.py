"""Under which metrics a claim holds, and where it flips."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from instruct_ablate.cell.state.record.record import Selected
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.metrics import TaskScore
from instruct_ablate.report.verdicts.sensitivity import (
    UnderMetric,
    comparable,
    flips,
    sensitivity_lines,
    under_metrics,
)
from instruct_ablate.report.verdicts.verdicts import judge, lines
from tests.report.cells import make_cell
from tests.scored import score


def test_metrics_of_the_same_kind_unit_and_direction() -> None:
    names = comparable("exact_match")
    assert {"strict_exact_match", "classification_rougeL", "format_correctness"} <= set(names)
    assert not {"exact_match", "uniform_guess", "consistency", "rougeL", "generation_rougeL"} & set(names)
    assert comparable("rougeL")[0] == "rouge1"
    assert comparable("generation_rougeL")[0] == "generation_rouge1"


def cells_of(lower: float, name: str, seeds: int = 4, tasks: int = 12):
    """Cells whose exact match is alike under both variants, and whose ROUGE is not."""
    for seed in range(seeds):
        cell = make_cell(50.0, seed=seed, instruction=name)
        (block,) = cell.blocks
        scored = tuple(
            TaskScore(
                "classification",
                "Logic",
                score(f"t{i}", 400, 70.0 + (seed + i) % 3, 60.0, 60.0 - lower + (seed * i) % 2, 90.0, 50.0),
            )
            for i in range(tasks)
        )
        yield replace(cell, blocks=(replace(block, scores=replace(block.scores, tasks=scored)),))


def test_a_claim_that_hangs_on_its_metric() -> None:
    cells = [*cells_of(0.0, "original"), *cells_of(20.0, "simplified")]
    (verdict,) = judge(
        cells, [parse_hypothesis("simplified equals original on exact_match within 5")], "original"
    )
    told = list(lines([verdict]))
    assert verdict.answer == "supported"
    assert any(line.split() == ["exact_match", "supported", "+0.00", "(stated)"] for line in told)
    assert any(line.split() == ["classification_rougeL", "refuted", "-20.00", "(flips)"] for line in told)
    assert any("descriptive" in line for line in told)
    assert told[-1].strip().startswith("holds under exact_match, classification_rouge1")
    assert told[-1].endswith("flips under classification_rougeL")
    assert "chosen" not in "".join(told)
    chosen = [replace(cell, selected=Selected("rougeL", 2, 4, 4, ((2, 7.0),))) for cell in cells]
    (verdict,) = judge(chosen, [verdict.hypothesis], "original")
    marked = [line for line in lines([verdict]) if "chosen" in line]
    assert [line.split()[0] for line in marked] == ["classification_rougeL"]
    assert marked[0].endswith("(flips) (weights were chosen by it)")


def test_a_flip_is_from_supported_to_refuted_alone() -> None:
    yes, no, open_ = (UnderMetric(name, (name,), (1.0,)) for name in ("supported", "refuted", "undecided"))
    assert flips(yes, no)
    assert flips(no, yes)
    assert not flips(yes, open_)
    assert list(sensitivity_lines(())) == []
    mixed = UnderMetric("m", ("supported", "refuted"), (1.0, -2.0))
    assert "1 supported, 1 refuted  -2.00 to +1.00" in list(sensitivity_lines([mixed]))[1]


def test_a_table_has_the_claims_own_metric_first_and_one_to_hold_it_against() -> None:
    (clause,) = parse_hypothesis("simplified equals original on exact_match within 5").clauses

    def ruling_on(*metrics: str):
        def rule(one):
            found = SimpleNamespace(answer="supported", comparison=SimpleNamespace(mean=1.0))
            return [found, found] if one.metric in metrics else []

        return [(row.metric, row.answers, row.means) for row in under_metrics(clause, rule)]

    both = ("supported", "supported")
    assert ruling_on("exact_match", "format_correctness") == [
        ("exact_match", both, (1.0, 1.0)),
        ("format_correctness", both, (1.0, 1.0)),
    ]
    assert ruling_on("exact_match") == [], "nothing to hold it against"
    assert ruling_on("format_correctness", "strict_exact_match") == [], "not tried under its own"
    assert ruling_on() == []


def test_it_holds_where_it_could_be_seen_to_fail() -> None:
    def of(*answers: str) -> UnderMetric:
        return UnderMetric("m", answers, (0.0,))

    assert of("supported", "uninformative").holds
    assert not of("uninformative").holds
    assert not of("supported", "undecided").holds
    assert of("supported", "refuted").fails
    assert not of("undecided").fails
    assert of("supported", "supported").told == "supported"
