"""The sub-commands of `instruct-ablate`: one file each, with a click command named `command`.

A file here imports nothing heavy at its top, so that every sub-command starts at once.
"""
