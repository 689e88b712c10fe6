"""Tables: the main one, differences, tasks and categories, on the terminal and in files."""
