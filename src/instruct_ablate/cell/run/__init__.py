"""A cell's run: its stages under a lock, with a heartbeat."""
