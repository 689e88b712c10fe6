"""Findings in words: what they rest on stands in the line."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.statistics.claim import advice, rulings
from instruct_ablate.report.statistics.finding import (
    Finding,
    counted,
    deciding,
    finding_line,
    noise_floor,
    points,
    probability,
)
from instruct_ablate.report.statistics.power import Design, Needed
from instruct_ablate.report.statistics.variance.components import Components
from tests.report.statistics.test_claim import EQUAL, tried


def finding(shift: float, seeds: int = 3, tasks: int = 40) -> Finding:
    ruling = rulings(EQUAL, [tried(shift, seeds=seeds, tasks=tasks)])[0]
    names = tuple(f"t{i}" for i in range(tasks))
    return Finding(EQUAL, "tiny, budget 8", ruling, advice(EQUAL, ruling), names)


def test_a_line_says_what_the_verdict_rests_on():
    line = finding_line(finding(0.0))
    assert line.startswith("tiny, budget 8: supported; exact_match ")
    for part in (
        "90 % interval",
        "3 seeds, 40 tasks",
        "40 of 40 tasks within 2",
        "this design finds",
        "vulnerable",
    ):
        assert part in line


def test_tasks_outside_the_margin_are_named():
    line = finding_line(finding(8.0))
    assert "0 of 40 tasks within 2; outside: t" in line
    assert line.count(", ...") == 1


def test_one_seed_and_one_task():
    line = finding_line(finding(0.0, seeds=1))
    assert "undecided (one seed)" in line
    assert "what one seed could show is not known" in line


def test_what_would_decide():
    open_one = finding(0.0)
    told = deciding(replace(open_one, needed=Needed(5, None)))
    assert told == "would be decided by 5 seeds (80 % power if the two are equal)"
    assert "neither 200 seeds nor 5,000" in deciding(replace(open_one, needed=Needed(None, None)))
    many = replace(open_one, ruling=replace(open_one.ruling, places=3), needed=Needed(None, 50))
    assert "50 test tasks" in deciding(many)
    assert "Holm's correction for 3 places" in deciding(many)
    exceeds = parse_hypothesis("a exceeds b on exact_match by 1").clauses[0]
    assert "the truth lies 2 points beyond" in deciding(
        replace(open_one, clause=exceeds, needed=Needed(4, 50))
    )


def test_the_noise_floor_in_words():
    assert "80 % power" in noise_floor(Design(Components(0.0, 4.0, 1.0), 3, 20))
    assert "is not known" in noise_floor(Design(Components(math.nan, 4.0, 1.0), 1, 20))


def test_numbers():
    assert [probability(p) for p in (0.0001, 0.25, math.nan)] == ["<0.001", "0.250", "-"]
    assert [points(p) for p in (2.345, math.nan, np.inf)] == ["2.3", "-", "-"]
    assert [counted(n, "seed") for n in (1, 3)] == ["1 seed", "3 seeds"]


def test_a_line_ends_with_what_would_decide_where_that_is_open():
    open_line, closed = finding_line(finding(2.0)), finding_line(finding(8.0))
    assert "undecided; " in open_line
    assert "decide" in open_line.rpartition("; ")[2]
    assert "decide" not in closed
    assert "p = " in closed
    assert "p = " not in finding_line(finding(0.0, seeds=1)), "one seed has none"
    assert finding_line(finding(0.0, seeds=1)).endswith("run two more seeds, better four")
    assert "which leaves out how seeds vary" in finding_line(finding(0.0, seeds=1))


def test_tasks_are_named_farthest_first_and_only_so_many():
    one = finding(0.0, tasks=4)
    effects = (0.5, -3.0, 2.5, 4.0)
    apart = replace(one, ruling=replace(one.ruling, comparison=replace(one.comparison, effects=effects)))
    assert "1 of 4 tasks within 2; outside: t3 +4.0, t1 -3.0, t2 +2.5;" in finding_line(apart)
    edge = replace(
        one, ruling=replace(one.ruling, comparison=replace(one.comparison, effects=(2.0, 0, 0, 2.1)))
    )
    assert "3 of 4 tasks within 2; outside: t3 +2.1;" in finding_line(edge)
    all_out = replace(one, ruling=replace(one.ruling, comparison=replace(one.comparison, effects=(3.0,) * 4)))
    assert "outside: t0 +3.0, t1 +3.0, t2 +3.0, ...;" in finding_line(all_out)


def test_claims_that_are_not_of_equality_name_no_tasks():
    one = replace(finding(8.0), clause=parse_hypothesis("a exceeds b on exact_match by 1").clauses[0])
    assert "tasks within" not in finding_line(one)


def test_one_task_cannot_decide():
    lone = finding(0.0, tasks=1)
    assert deciding(lone) == "one test task cannot decide it: test on more"
    assert "no interval (one task)" in finding_line(lone)
    assert "this design" not in finding_line(lone)
    assert "tasks within" not in finding_line(lone)


def test_a_share_of_tasks_takes_so_many():
    share = parse_hypothesis("a equals b on exact_match within 2 for 90 % of tasks").clauses[0]
    assert deciding(replace(finding(0.0), clause=share)) == "it takes at least 29 tasks, all of them within"
    assert "Holm" not in deciding(replace(finding(0.0), needed=Needed(5, 7)))
    assert "5 seeds or 7 test tasks" in deciding(replace(finding(0.0), needed=Needed(5, 7)))


def test_small_p_values_have_three_digits():
    assert [probability(p) for p in (0.001, 0.00099, 1.0)] == ["0.001", "<0.001", "1.000"]
    assert counted(0, "seed") == "0 seeds"


def test_a_metric_in_nats_is_told_in_nats_and_no_points_are_advised():
    text = "a exceeds b on reference_log_likelihood by 0.1; a equals b on reference_log_likelihood within 2.5"
    for clause in parse_hypothesis(text).clauses:
        one = tried(0.0, tasks=6)
        ruling = rulings(clause, [replace(one, pairing=replace(one.pairing, percent=False))])[0]
        found = Finding(clause, "tiny", ruling, advice(clause, ruling), tuple("abcdef"))
        line = finding_line(found)
        assert "point" not in line
        assert f"reference_log_likelihood {ruling.comparison.mean:+.2f} nats/token, 90 % interval" in line
        assert re.search(
            r"finds a difference of \d\.\d\d nats/token and can show equality within \d\.\d\d \(", line
        )
        if clause.verb == "exceeds":
            assert ruling.answer == "undecided"
            assert found.needed == Needed(None, None)
            assert line.endswith("; more seeds or test tasks would narrow the interval")
        else:
            assert ruling.answer == "supported"
            assert re.search(r"and \d+\.\d\d nats/token on each, the way the mean lies, would undo it", line)


def test_nothing_is_decided_by_differences_that_are_all_alike():
    text = "a equals b on reference_log_likelihood within 2.5; a exceeds b on reference_log_likelihood"
    one = tried(0.0, tasks=6)
    alike = replace(one, pairing=replace(one.pairing, percent=False, left=one.pairing.right))
    for clause in parse_hypothesis(text).clauses:
        ruling = rulings(clause, [alike])[0]
        line = finding_line(Finding(clause, "tiny", ruling, advice(clause, ruling), tuple("abcdef")))
        assert line.startswith(
            "tiny: undecided (nothing varies); reference_log_likelihood +0.00 nats/token, no interval"
        )
        assert "nan" not in line
        assert "this design" not in line
        assert line.endswith("leave nothing to judge an error by: more test tasks may differ")
    share = parse_hypothesis("a equals b on reference_log_likelihood within 2 for 60 % of tasks").clauses[0]
    assert rulings(share, [alike])[0].answer == "supported", "which counts tasks"


def test_two_tasks_can_decide():
    assert "one test task" not in deciding(finding(0.0, tasks=2))
