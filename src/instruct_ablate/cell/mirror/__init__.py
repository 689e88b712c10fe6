"""Mirrors of the record: loggers and W&B."""
