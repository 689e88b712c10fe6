"""Training: loss, batches through the model, optimiser, what a resume needs."""
