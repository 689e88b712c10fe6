"""Baselines that need no model: guessing, the label prior, the majority label, copying.

Where a baseline needs the labels' frequencies it takes those of the instances tested, as Kung & Peng do: it
knows more than a model could, and is the harder to beat for it. Where a task has no label space, the
baselines of labels answer nothing and score nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from instruct_ablate.errors import UserError, unknown
from instruct_ablate.instruction.context import hashed
from instruct_ablate.metrics import (
    BUILT_IN_ALONE,
    InstanceScore,
    Metric,
    Selection,
    score_all,
    score_prediction,
)
from instruct_ablate.metrics.aggregation import mean_values
from instruct_ablate.metrics.built_in import guess_chance
from instruct_ablate.normalisation import classes, is_answerable, normalised
from instruct_ablate.prompt.prompt import Prediction, Prompt
from instruct_ablate.scores import Values
from instruct_ablate.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Answers:
    """A baseline's predictions and scores, in the prompts' order.

    `expected`: the scores are expectations over guesses, and the predictions' texts are empty.
    """

    predictions: tuple[Prediction, ...]
    scores: tuple[InstanceScore, ...]
    expected: bool = False


def predict_baseline(
    name: str,
    prompts: Sequence[Prompt],
    tasks: Sequence[Task],
    seed: int = 0,
    tries: int = 1,
    metrics: Selection = BUILT_IN_ALONE,
) -> Answers:
    """Answer every prompt by the baseline `name`.

    `tasks` are the prompts' tasks after the instruction's variant: inputs and demonstrations are read there.
    `seed` matters to what is drawn, `tries` to the uniform guess; `metrics` selects those to score by.
    """
    if name == "uniform_guess":
        return _uniform_answers(prompts, tries, metrics.load())
    if name not in COPIED | DRAWN_FROM_LABELS:
        raise unknown("baseline", name, BASELINES)
    if name in COPIED:
        by_name = {task.name: task for task in tasks}
        texts = [COPIED[name](prompt, _task_of(prompt, by_name), seed) for prompt in prompts]
    else:
        counts = _position_counts(prompts)
        texts = [DRAWN_FROM_LABELS[name](prompt, counts.get(prompt.task, {}), seed) for prompt in prompts]
    predictions = tuple(Prediction(prompt, text) for prompt, text in zip(prompts, texts, strict=True))
    return Answers(predictions, score_all(predictions, metrics=metrics))


def _task_of(prompt: Prompt, tasks: Mapping[str, Task]) -> Task:
    if prompt.task not in tasks:
        raise UserError(f"task {prompt.task!r} of a prompt is not among the {len(tasks)} tasks given.")
    return tasks[prompt.task]


# --- copying: Tk-Instruct's heuristics (Wang et al. 2022), ROUGE-L 14.20 and 28.54 on the 119 test tasks ---


def copy_input(prompt: Prompt, task: Task, seed: int) -> str:
    """Answer with the instance's own input."""
    return next((one.input for one in task.instances if one.id == prompt.instance_id), "")


def copy_demonstration(prompt: Prompt, task: Task, seed: int) -> str:
    """Answer with the output of the task's first demonstration."""
    return task.positive_examples[0].output if task.positive_examples else ""


# --- labels by their frequency; a label is meant by its position, so that choices may differ by instance ---


def majority(prompt: Prompt, counts: Mapping[int, int], seed: int) -> str:
    """Answer with the task's most frequent right label; of equals, the first in the label space."""
    if not prompt.choices:
        return ""
    position = min(counts, key=lambda place: (-counts[place], place), default=0)
    return prompt.choices[min(position, len(prompt.choices) - 1)]


def label_prior(prompt: Prompt, counts: Mapping[int, int], seed: int) -> str:
    """Answer with a label drawn as often as it is right, by seed, task and instance alone."""
    if not prompt.choices:
        return ""
    left = hashed(seed, "prior", prompt.task, prompt.instance_id) % max(sum(counts.values()), 1)
    position = 0
    for place in sorted(counts):
        position = place
        left -= counts[place]
        if left < 0:
            break
    return prompt.choices[min(position, len(prompt.choices) - 1)]


def _position_counts(prompts: Sequence[Prompt]) -> dict[str, dict[int, int]]:
    """Count, per task, how often the label at each position is right."""
    counts: dict[str, dict[int, int]] = {}
    for prompt in prompts:
        right = {normalised(reference) for reference in prompt.references}
        of_task = counts.setdefault(prompt.task, {})
        for place, label in enumerate(prompt.choices or ()):
            if normalised(label) in right:
                of_task[place] = of_task.get(place, 0) + 1
    return counts


# --- guessing ---


def expected_maximum(chances: Sequence[float], tries: int) -> float:
    """Return the expected accuracy of the best of `tries` random classifiers on one test set.

    Yauney & Mimno (2024, "Stronger Random Baselines for In-Context Learning"): with F the distribution of the
    number of right guesses among n instances, E[max]/n = 1/n * sum over x < n of (1 - F(x)^tries). F is
    binomial where all `chances` are alike and Poisson-binomial else; both are built up exactly here.
    """
    import numpy as np

    if tries < 1:
        raise UserError(f"model.tries={tries}: give 1 or more.")
    mass = np.zeros(len(chances) + 1)
    mass[0] = 1.0
    for chance in chances:
        mass[1:] = mass[1:] * (1 - chance) + mass[:-1] * chance
        mass[0] *= 1 - chance
    below = np.minimum(np.cumsum(mass)[:-1], 1.0)
    return float(np.sum(1 - below**tries) / len(chances))


def _uniform_answers(prompts: Sequence[Prompt], tries: int, metrics: Sequence[Metric]) -> Answers:
    """Score the guess by expectation: no sampling, no text.

    With one try an instance's exact match is 1/|labels|; with more, each instance of a task has the expected
    maximum of its task. Given how many are right, which ones is left to chance, so that every other metric is
    the right labels' mean where the guess is right and the wrong labels' mean elsewhere. Where no label is
    right, no guess is.
    """
    by_task: dict[str, list[float]] = {}
    for prompt in prompts:
        by_task.setdefault(prompt.task, []).extend(_guess(prompt))
    best = {task: expected_maximum(chances, tries) for task, chances in by_task.items() if chances}
    scores = tuple(
        _expected(prompt, best[prompt.task] if tries > 1 and guess else sum(guess), metrics)
        for prompt in prompts
        for guess in [_guess(prompt)]
    )
    return Answers(tuple(Prediction(prompt, "") for prompt in prompts), scores, expected=True)


def _guess(prompt: Prompt) -> tuple[float, ...]:
    """Return the chance of one guess; nothing where there are no labels, or none of them is right."""
    choices = prompt.choices or ()
    return (guess_chance(choices),) if is_answerable(choices, prompt.references) else ()


def _expected(prompt: Prompt, guess: float, metrics: Sequence[Metric]) -> InstanceScore:
    def scores(label: str) -> Values:
        found = score_prediction(label, prompt.references, prompt.choices, metrics, prompt.word_rule)
        return found.values

    # Labels that exact match takes for one are guessed as one; other metrics tell them apart, and take their mean.
    scored = [
        InstanceScore(mean_values(map(scores, spellings))) for spellings in classes(prompt.choices or ("",))
    ]
    right = [score for score in scored if score.get("exact_match")] or scored
    wrong = [score for score in scored if not score.get("exact_match")] or scored
    hit, miss = (mean_values(score.values for score in side) for side in (right, wrong))
    otherwise = dict(miss)
    means = {name: guess * value + (1 - guess) * otherwise.get(name, value) for name, value in hit}
    return InstanceScore(tuple({**means, "exact_match": guess}.items()))


COPIED: dict[str, Callable[[Prompt, Task, int], str]] = {
    "copy_input": copy_input,
    "copy_demonstration": copy_demonstration,
}
DRAWN_FROM_LABELS: dict[str, Callable[[Prompt, Mapping[int, int], int], str]] = {
    "majority": majority,
    "label_prior": label_prior,
}
BASELINES = ("uniform_guess", *DRAWN_FROM_LABELS, *COPIED)
_BEST = "_best_of_"


def shown_as(name: str, tries: int) -> str:
    """Return a baseline's name in records and tables: guesses of several tries stand beside the single one."""
    return name if tries == 1 else f"{name}{_BEST}{tries}"


def is_baseline_name(model: str) -> bool:
    """Whether a record's model is a baseline."""
    return model.partition(_BEST)[0] in BASELINES
