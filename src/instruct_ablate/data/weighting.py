"""What the tokens of an example count in a step's loss, where its prompt's count too (`trainer.prompt_loss_weight`)."""

from __future__ import annotations

from dataclasses import dataclass

from instruct_ablate.schema import TrainerConfig


@dataclass(frozen=True, slots=True)
class Weighting:
    """Target tokens count 1, prompt tokens `prompt`; the loss is the weighted mean.

    `per_example`: it is the mean over examples of each one's weighted mean. A prompt's first token is predicted from
    nothing and counts nothing.
    """

    prompt: float
    per_example: bool = False

    @classmethod
    def of(cls, config: TrainerConfig) -> Weighting | None:
        """Return what is asked for; None where target tokens alone count."""
        weight = config.prompt_loss_weight
        return cls(weight, config.loss == "per_example") if weight else None

    def total(self, source: int, target: int) -> float:
        """Return what the tokens of an example count together, before they are made 1 `per_example`."""
        return target + self.prompt * (source - 1)

    def scale(self, source: int, target: int) -> float:
        """Return what a target token counts in the end."""
        return 1.0 / self.total(source, target) if self.per_example else 1.0
