"""Settings: a cell without its seed, in readable names, and how several are written beside each other."""
