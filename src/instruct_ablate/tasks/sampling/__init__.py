"""Which tasks and instances are trained and tested on, and in which order."""
