"""A study's page served on this machine, its predictions read from disk as they are looked at."""
