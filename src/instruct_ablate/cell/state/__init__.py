"""A cell's state: identity, record and files on disk. No model code is imported here."""
