"""Reference log-likelihood: how likely the right answer is to the model tested, whatever it writes.

The model reads the prompt exactly as generation does, and each reference as a training target: its tokens, cut to
`prompt.max_target_length`, and the end token, which counts. Per token, the log-probability is divided by the number of
tokens, the end among them; per byte, which models with other tokenizers share, by the bytes of the reference's text.
Of several references the best counts, each metric taking its own, as exact match and ROUGE do.
"""

from __future__ import annotations

from collections.abc import Sequence

from instruct_ablate.metrics.registry import metric
from instruct_ablate.prompt.prompt import Likelihood

PER_TOKEN, PER_BYTE = "reference_log_likelihood", "reference_log_likelihood_per_byte"


@metric(
    PER_TOKEN, "ref. log-lik.\nper token", unit="nats/token", reads="model", range=None, brings=(PER_BYTE,)
)
def per_token(prediction: str, references: Sequence[str], likelihoods: Sequence[Likelihood]) -> float:
    """The log-probability per token of the reference that is likeliest so, in nats; at most 0."""
    return max(one.log_probability / one.tokens for one in likelihoods)


@metric(PER_BYTE, "ref. log-lik.\nper byte", unit="nats/byte", reads="model", range=None)
def per_byte(prediction: str, references: Sequence[str], likelihoods: Sequence[Likelihood]) -> float | None:
    """The log-probability per byte of the reference that is likeliest so, in nats; None where all are empty."""
    return max((one.log_probability / one.bytes for one in likelihoods if one.bytes), default=None)
