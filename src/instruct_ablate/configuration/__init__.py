"""What a configuration means: as Hydra composes it, the user's own code, models by hub id, rules that rooms share."""
