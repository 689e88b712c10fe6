"""What goes with a paper or a model: the checklist, the model card, where the numbers come from."""
