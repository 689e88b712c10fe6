"""A study on W&B: its own run, and a workspace of panels."""
