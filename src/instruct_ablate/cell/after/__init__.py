"""What can be done with a cell later: import, rescore, find out why it died."""
