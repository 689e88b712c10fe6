"""Makes the starter collection from facts: `python -m instruct_ablate.tasks.starter.make`."""
