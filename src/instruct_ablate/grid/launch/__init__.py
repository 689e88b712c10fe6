"""Launching cells: here, in a pool of processes, on Slurm."""
