"""What is checked of a grid before its first cell starts."""
