"""Pages of the documentation that are made from the code: configuration keys, and models by hub id."""
