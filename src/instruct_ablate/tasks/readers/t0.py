"""What T0 was trained and evaluated on (Sanh et al. 2022), by P3's names: mixtures, held-out data sets, templates.

After t-zero's t0/datasets.csv, t0/seqio_tasks/tasks.py and evaluation/template_list.py.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

# The eleven held-out evaluation data sets (section 5), as P3 names them, by task cluster.
HELD_OUT = {
    "super_glue_rte": "Natural Language Inference",
    "super_glue_cb": "Natural Language Inference",
    "anli_r1": "Natural Language Inference",
    "anli_r2": "Natural Language Inference",
    "anli_r3": "Natural Language Inference",
    "super_glue_wsc.fixed": "Coreference Resolution",
    "winogrande_winogrande_xl": "Coreference Resolution",
    "super_glue_copa": "Sentence Completion",
    "story_cloze_2016": "Sentence Completion",
    "hellaswag": "Sentence Completion",
    "super_glue_wic": "Word Sense Disambiguation",
}
# Of three of them T0 evaluates the templates named after the original task alone, which are these (promptsource's
# `original_task`); of the other eight, all that there are.
EVALUATED = {
    "hellaswag": (
        "complete_first_then", "Randomized_prompts_template", "Predict_ending_with_hint", "if_begins_how_continues",
    ),
    "winogrande_winogrande_xl": (
        "does_underscore_refer_to", "stand_for", "underscore_refer_to", "fill_in_the_blank", "Replace",
    ),
    "story_cloze_2016": (
        "Answer_Given_options", "Choose_Story_Ending", "Movie_What_Happens_Next", "Story_Continuation_and_Options",
        "Novel_Correct_Ending",
    ),
}  # fmt: skip
_BASE = (
    "adversarial_qa_dbert", "adversarial_qa_dbidaf", "adversarial_qa_droberta", "ag_news", "amazon_polarity",
    "app_reviews", "cnn_dailymail_3.0.0", "common_gen", "cos_e_v1.11", "cosmos_qa", "dbpedia_14", "dream",
    "duorc_ParaphraseRC", "duorc_SelfRC", "gigaword", "glue_mrpc", "glue_qqp", "imdb", "kilt_tasks_hotpotqa",
    "multi_news", "paws_labeled_final", "qasc", "quail", "quarel", "quartz", "quoref", "ropes", "rotten_tomatoes",
    "samsum", "sciq", "social_i_qa", "trec", "wiki_bio", "wiki_hop_original", "wiki_qa", "wiqa", "xsum",
    "yelp_review_full",
)  # fmt: skip
_GPT_3 = (
    "ai2_arc_ARC_Challenge", "ai2_arc_ARC_Easy", "hellaswag", "openbookqa_main", "piqa", "race_high", "race_middle",
    "squad_v2", "trivia_qa_unfiltered", "web_questions",
)  # fmt: skip
_SUPER_GLUE = tuple(
    f"super_glue_{name}" for name in ("boolq", "copa", "multirc", "record", "wic", "wsc.fixed")
)
MIXTURES = {
    "t0": _BASE,
    "t0_plus": (*_BASE, *_GPT_3),
    "t0_plus_plus": (*_BASE, *_GPT_3, *_SUPER_GLUE),
}
LEFT_OUT = ("gigaword_summarize_",)  # of every mixture, by t-zero's TASK_BLACKLIST
MOST = 500_000  # examples of a data set; a larger one gives so many, divided among its templates
PER_CHOICE = "_score_eval"
_ANLI = re.compile(r"^anli_.*_(r[123])(?:_score_eval)?$")


def held_out(name: str) -> str | None:
    """Return which of the eleven a prompt set belongs to, or None for another data set.

    P3 names ANLI's prompt sets by template first and round last (anli_guaranteed_possible_impossible_r1).
    """
    if rounds := _ANLI.match(name):
        return f"anli_{rounds[1]}"
    return _data_set(name, HELD_OUT)


def is_evaluated(name: str) -> bool:
    """Whether T0 is evaluated on a prompt set of the eleven: not where it turns the data into another task."""
    data, base = held_out(name), name.removesuffix(PER_CHOICE)
    return data is not None and (data not in EVALUATED or base.removeprefix(f"{data}_") in EVALUATED[data])


def trained_on(name: str, mixture: str) -> str | None:
    """Return the data set of a training mixture that a prompt set belongs to, or None."""
    return None if name in LEFT_OUT else _data_set(name, MIXTURES[mixture])


def _data_set(name: str, known: Iterable[str]) -> str | None:
    return next((data for data in known if name == data or name.startswith(f"{data}_")), None)


def capped(rows: Iterable[T], templates: int, name: str) -> Sequence[T]:
    """Return all rows of a prompt set, or its share of MOST where its data set has more; drawn by its name alone."""
    # A reservoir: how many rows there are is known at their end alone, and no more than MOST are held.
    chance, kept, count = random.Random(name), list[tuple[int, T]](), 0
    for row in rows:
        if count < MOST:
            kept.append((count, row))
        elif (place := chance.randrange(count + 1)) < MOST:
            kept[place] = count, row
        count += 1
    if count > MOST:
        kept = chance.sample(kept, MOST // templates)
    return [row for _, row in sorted(kept, key=lambda pair: pair[0])]
