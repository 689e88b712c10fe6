"""The order in which training tasks are read: batches are drawn by place, so that another order trains other weights.

That of the tasks' names is the usual one. Any other (of a split list, of records in a file, of a mixture's parts) has a
hash, which counts in the identity of a trained cell. Of test tasks no score hangs on the order: see `predict`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instruct_ablate.tasks.task import Task

USUAL_ORDER = "usual"


def order_of(tasks: Sequence[Task]) -> str:
    """Return USUAL_ORDER for tasks in the order of their names, else a hash of that which they have."""
    names = [task.name for task in tasks]
    return USUAL_ORDER if names == sorted(names) else _hashed(names)


def order_of_parts(orders: Mapping[str, str]) -> str:
    """Return the order of a mixture whose parts, in that order, have these; of all parts, whichever are left out."""
    if list(orders) == sorted(orders) and set(orders.values()) <= {USUAL_ORDER}:
        return USUAL_ORDER
    return _hashed([f"{part}\t{order}" for part, order in orders.items()])


def _hashed(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode(errors="surrogatepass")).hexdigest()[:12]
