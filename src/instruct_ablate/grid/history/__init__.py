"""What a study stated and found, and when: files that only grow."""
