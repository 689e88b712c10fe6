"""Readers of task collections, one format a file; `tasks.reader` names them (`tasks/collection.py` lists them)."""
