"""Trials: settings as tested, their scores by seed, and the trial that each one is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from instruct_ablate.cell.state.record.record import CellRecord, ScoreBlock
from instruct_ablate.cell.state.setting.counterpart import (
    BASELINE,
    FREE,
    UNTUNED,
    Among,
    alike,
    closest,
    counterparts,
    drawn,
    kind,
)
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.cell.state.setting.setting import Setting, Value
from instruct_ablate.metrics import Scores, mean_scores
from instruct_ablate.report.rows.repetitions import same_answers, same_scores, tested_alike
from instruct_ablate.report.statistics.paired import Pairing
from instruct_ablate.report.statistics.templates import template_effects

TESTS = "evaluation.instructions"
TWICE = "twice with one setting and seed"
UNEVEN = "seeds of one setting, not tested on the same tasks and as many instances"


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting under one test instruction."""

    setting: Setting
    tested: str


class Trials:
    """What is done of a study: scores by trial and seed; two cells that are one trial and seed are a clash.

    So are seeds of a trial that were tested on other tasks, or other numbers of instances (`uneven`): a mean over them
    is a mean over nothing. Seeds that are one repetition (`once`), for none changes an answer of what is not trained
    here, have the same scores; those of `alike` were trained apart and have the same answers.

    What was tested under several templates has their mean as its scores, and those of each template beside it.
    With `keep_clashes` what clashes stays among the scores, to find out what would stand against what without it.
    """

    def __init__(self, cells: Iterable[CellRecord], keep_clashes: bool = False) -> None:
        self.scores: dict[Trial, dict[int, Scores]] = {}
        self.templates: dict[Trial, dict[str, dict[int, Scores]]] = {}  # where there are several
        self.clashes: dict[Trial, tuple[str, ...]] = {}
        self.uneven: set[Trial] = set()  # of those that clash
        self.once: set[Trial] = set()
        self.alike: set[Trial] = set()
        self._seeds: dict[Setting, set[int]] = {}  # of its cells in any state
        names: dict[Trial, dict[int, list[str]]] = {}
        tests: dict[Trial, list[tuple[ScoreBlock, ...]]] = {}
        # Sums hang on their order by rounding: the same study gives the same report, whatever its folders are called.
        for cell in sorted(cells, key=lambda cell: (cell.seed, cell.identity)):
            self._seeds.setdefault(cell.setting, set()).add(cell.seed)
            for blocks in cell.tests if cell.state == "done" else ():
                trial = Trial(cell.setting, blocks[0].instruction)
                names.setdefault(trial, {}).setdefault(cell.seed, []).append(cell.name)
                tests.setdefault(trial, []).append(blocks)
                self.scores.setdefault(trial, {})[cell.seed] = mean_scores([one.scores for one in blocks])
                for block in blocks if len(blocks) > 1 else ():
                    own = self.templates.setdefault(trial, {}).setdefault(block.key.template, {})
                    own[cell.seed] = block.scores
        for trial, by_seed in names.items():
            double = sorted(name for own in by_seed.values() if len(own) > 1 for name in own)
            if not double and not tested_alike(self.scores[trial].values()):
                double = sorted(name for own in by_seed.values() for name in own)
                self.uneven.add(trial)
            if double:
                self.clashes[trial] = tuple(double)
            elif len(by_seed) > 1:
                self._find_same(trial, tests[trial])
            if double and not keep_clashes:
                del self.scores[trial]
                self.templates.pop(trial, None)
        self.among = Among(trial.setting for trial in self.scores)

    def _find_same(self, trial: Trial, tests: Sequence[Sequence[ScoreBlock]]) -> None:
        """Find out whether the seeds of a trial are one repetition."""
        first, *others = self.scores[trial].values()
        fixed, own = without_seeds(trial), trial.setting
        if not all(same_scores(first, one) for one in others) or not (fixed or same_answers(tests)):
            return
        # Of files that are the same nobody can tell whether a model was trained twice elsewhere, or imported twice.
        here = not (own.untuned or own.imported)
        (self.alike if here else self.once).add(trial)

    def why(self, trial: Trial) -> str:
        """Say what is the matter with cells that clash."""
        return UNEVEN if trial in self.uneven else TWICE

    def counted(self, trial: Trial) -> dict[int, Scores]:
        """Return the scores of a trial by seed; of seeds that are one repetition those by most metrics."""
        own = self.scores[trial]
        if trial not in self.once:
            return own
        return {min(own): max(own.values(), key=lambda scores: len(scores.overall.values))}

    def same(self, trial: Trial) -> tuple[int, ...]:
        """Return the seeds of a trial that have the same answers; none where they differ, or there is one."""
        return tuple(sorted(self.scores[trial])) if trial in self.once | self.alike else ()

    def reference(self, trial: Trial, reference: str) -> Trial | None:
        """Return the trial under the reference variant: as trained where this one is tested so, else tested alike.

        What is trained on the reference itself, or not at all, stands against the same setting tested on it.
        """
        setting = trial.setting
        if setting.untuned or setting.instruction == reference:
            own = alike(setting, self.among) if trial.tested != reference else ()
            return self._tested(trial, own, (reference,))
        as_trained = trial.tested == setting.instruction
        tests = (reference, trial.tested) if as_trained else (trial.tested,)
        return self._tested(trial, counterparts(setting, self.among, instruction=reference), tests)

    def untuned(self, trial: Trial, reference: str) -> Trial | None:
        """Return the untuned model that a trained setting started from, tested alike, else on the reference."""
        if trial.setting.untuned:
            return None
        found = counterparts(trial.setting, self.among, data_budget=0)
        return self._tested(trial, found, (trial.tested, reference))

    def stands_for_all(self, trial: Trial) -> bool:
        """Whether what is not trained has one cell, whatever the seed.

        It has one for each where its examples are drawn by the seed: then another seed's is no stand-in for one that is
        not done, also where a study has no more than one of them. Where another of its tests draws them, its cells are
        one repetition of this test.
        """
        alone = len(self._seeds[trial.setting]) == 1 or trial in self.once
        return alone and trial.setting.untuned and not drawn(trial.setting, trial.tested)

    def over_templates(self, pairing: Pairing, sides: tuple[Trial, Trial], measure: str) -> Pairing:
        """Return the pairing with what its sides did under each of their templates, where they have several."""
        left, right = (self.templates.get(side, {}) for side in sides)
        return replace(pairing, templates=template_effects(pairing, (left, right), measure))

    def variant(self, trial: Trial, label: str, tested: str) -> Trial | None:
        """Return the trial trained on another variant, under some test instruction."""
        return self._tested(trial, counterparts(trial.setting, self.among, instruction=label), (tested,))

    def test(self, trial: Trial, tested: str) -> Trial | None:
        """Return the trial of the same setting under another test instruction."""
        return self._tested(trial, alike(trial.setting, self.among), (tested,))

    def others(self, trial: Trial, changed: Mapping[str, Value], reference: str) -> tuple[Trial, ...]:
        """Return the trials with other values, tested alike; what is not trained also if tested on the reference."""
        found = counterparts(trial.setting, self.among, **changed)
        groups: dict[object, list[Setting]] = {}
        for setting in found:
            groups.setdefault(untested(setting), []).append(setting)
        trials = []
        for group in groups.values():
            tests = (trial.tested, reference) if group[0].untuned else (trial.tested,)
            if (other := self._tested(trial, group, tests)) is not None:
                trials.append(other)
        return tuple(trials)

    def _tested(self, trial: Trial, found: Sequence[Setting], tests: Iterable[str]) -> Trial | None:
        """Return the one of the settings found that has been tested so, by the first of `tests` that fits."""
        for tested in tests:
            there = [setting for setting in found if Trial(setting, tested) in self.scores]
            if (setting := closest(trial.setting, there)) is not None:
                return Trial(setting, tested)
        return None


def without_clashes(cells: Iterable[CellRecord]) -> list[CellRecord]:
    """Return the done cells but those of a setting of which two clash: it has no mean in any table either."""
    done = [cell for cell in cells if cell.state == "done"]
    clash = {trial.setting for trial in Trials(done).clashes}
    return [cell for cell in done if cell.setting not in clash]


def one_repetition(*sides: tuple[Trials, Trial]) -> bool:
    """Whether a comparison of these sides has one repetition, however many seeds they have.

    No seed changes anything on either, or one is a trained model's predictions that were imported for several seeds.
    """
    if any(trial in trials.once and not trial.setting.untuned for trials, trial in sides):
        return True
    return all(trial in trials.once or trials.stands_for_all(trial) for trials, trial in sides)


def tested_as_usual(setting: Setting, tested: str) -> bool:
    """Whether a test need not be named: that of the training variant, of what is not trained that of the originals."""
    return tested == ("original" if setting.untuned else setting.instruction)


def trial_name(trial: Trial, legend: Legend, *always: str) -> str:
    """Name a setting by what differs, and how it was tested where that is not as usual."""
    place = legend.place(trial.setting, TESTS, always=("instruction", *always))
    as_usual = tested_as_usual(trial.setting, trial.tested)
    return place if as_usual else f"{place}, tested on {trial.tested}"


def untested(setting: Setting) -> object:
    """Return all of a setting but what it is tested with."""
    return tuple(pair for pair in setting.values if pair[0] not in FREE), setting.revisions


def without_seeds(trial: Trial) -> bool:
    """Whether nothing of a trial hangs on a seed: an untuned model's or a baseline's predictions, none of it drawn."""
    return kind(trial.setting) in (UNTUNED, BASELINE) and not drawn(trial.setting, trial.tested)
