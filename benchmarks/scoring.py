"""Scoring: this package against a plain loop over rouge-score, as Tk-Instruct's script has it.

    python benchmarks/scoring.py [PREDICTIONS.jsonl] [--repetitions 3] [--json FILE]

Both sides score the same predictions in one process each, alternating, ours with cold caches each time, in
processor seconds; their numbers are compared first. Each side is given the predictions as it holds them anyway: the
loop as plain rows, ours as a cell's test makes them. Without a file they are made up from the starter tasks' kind of
text.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import string
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer

from instruct_ablate import metrics
from instruct_ablate.metrics import rouge
from instruct_ablate.normalisation import normalised
from instruct_ablate.prompt.prompt import Prediction, Prompt

Rows = list[tuple[str, tuple[str, ...]]]


def read_rows(path: Path) -> Rows:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(row["prediction"], tuple(row["references"])) for row in map(json.loads, lines)]


def made_up(count: int = 4000) -> Rows:
    draw = random.Random(0)
    words = [
        f"{stem}{end}"
        for stem in ("walk", "nation", "happi", "run")
        for end in ("", "ing", "ness", "ed", "s")
    ]

    def text(longest: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(1, longest)))

    half = count // 2
    labels = [(draw.choice(("yes", "no", "maybe so")), (draw.choice(("yes", "no")),)) for _ in range(half)]
    return labels + [(text(40), (text(40), text(20))) for _ in range(half)]


def plain_loop(rows: Rows) -> list[tuple[float, float, float]]:
    """Exact match, ROUGE-1 and ROUGE-L, one scorer call per reference and measure set."""
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    scores = []
    for prediction, references in rows:
        found = [scorer.score(reference, prediction) for reference in references]
        equal = any(plain_normal(prediction) == plain_normal(reference) for reference in references)
        best = [max(score[name].fmeasure for score in found) for name in ("rouge1", "rougeL")]
        scores.append((float(equal), best[0], best[1]))
    return scores


def plain_normal(text: str) -> str:
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(kept.split())


def as_predictions(rows: Rows) -> list[Prediction]:
    return [
        Prediction(Prompt("", "", "generation", "", "", references, references[0]), text)
        for text, references in rows
    ]


def forget() -> None:
    rouge.words.cache_clear()
    rouge._tokenizer.cache_clear()
    rouge.best_rouge.cache_clear()
    normalised.cache_clear()


def ours(predictions: Sequence[Prediction]) -> list[tuple[float, float, float]]:
    return [
        tuple(score.get(name) or 0.0 for name in ("exact_match", "rouge1", "rougeL"))
        for score in metrics.score_all(predictions, workers=1)
    ]


def seconds(work: Callable[[], object]) -> float:
    forget()
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(rows: Rows, repetitions: int) -> dict[str, object]:
    predictions = as_predictions(rows)
    equal = ours(predictions) == plain_loop(rows)
    pairs = [
        (seconds(lambda: plain_loop(rows)), seconds(lambda: ours(predictions))) for _ in range(repetitions)
    ]
    ratios = [theirs / own for theirs, own in pairs]
    return {
        "predictions": len(rows),
        "same numbers": equal,
        "plain loop, seconds": [round(theirs, 3) for theirs, _ in pairs],
        "ours, seconds": [round(own, 3) for _, own in pairs],
        "ratio": round(statistics.median(ratios), 2),
        "ratio, least and most": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="JSON lines with prediction and references")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the result here too")
    given = parser.parse_args()
    result = measure(read_rows(given.file) if given.file else made_up(), given.repetitions)
    for name, value in result.items():
        print(f"{name}: {value}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
