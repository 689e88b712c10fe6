"""The audit of a variant: what it does to each task, and whether it keeps its promise."""
