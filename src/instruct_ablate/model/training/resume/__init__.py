"""What a fit leaves on disk while it runs: its states, its best weights, its points, and how it went on."""
