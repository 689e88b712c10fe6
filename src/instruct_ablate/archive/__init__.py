"""One archive: all of a study that its numbers rest on in one file, and the same tables from that file alone."""
