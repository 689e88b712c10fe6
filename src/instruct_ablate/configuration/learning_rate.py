"""The learning rate that a cell trains at: one rule, for whoever trains, plans, records or reports.

Full tuning takes `trainer.learning_rate`; LoRA takes it times `method.learning_rate_factor`, which is 10 in
`method=lora`. Sources: Schulman et al. (2025), "LoRA Without Regret" (Thinking Machines): over some 14 models the best
rate of LoRA was about 10 times that of full tuning, whatever the rank, and up to some 15 times in short runs; Biderman
et al. (2024), "LoRA Learns Less and Forgets Less": best rates of LoRA an order of magnitude above full tuning's. Both
divide by the rank (alpha/rank), as here unless `method.rslora` is on. It is a rule for where to begin: rates of a
comparison are better searched on held-out tasks (experiment=lora_or_full).
"""

from __future__ import annotations

from typing import Protocol

from instruct_ablate.limits import exactly

LORA = "lora"


class Trains(Protocol):
    """What of a method's configuration the rate follows from."""

    name: str
    learning_rate_factor: float


def effective_rate(rate: float, method: Trains) -> float:
    """Return the rate that the optimiser gets; the schedule goes on from there."""
    return scaled_rate(rate, method.name, method.learning_rate_factor)


def scaled_rate(rate: float, method: str, factor: float) -> float:
    """Return the same from a method's name and factor."""
    if method != LORA or factor == 1:
        return rate
    return float(f"{rate * factor:.12g}")  # 3e-4 times 10 is 3e-3, not 2.9999999999999996e-3


def effective_rate_text(rate: float, method: str, factor: float) -> str:
    """Write the rate, and what it is made of where that is not the configuration's own: "0.002 (0.0002 x 10)"."""
    made = scaled_rate(rate, method, factor)
    return exactly(made) if made == rate else f"{exactly(made)} ({exactly(rate)} x {exactly(factor)})"
