"""Records and predictions of a cell, on disk."""
