"""What reports are made of: settings, their seeds and single instances, as rows with readable columns."""
