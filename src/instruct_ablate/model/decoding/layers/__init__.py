"""A decoding batch through packed layers: prompts once, then a token a row on cached keys."""
