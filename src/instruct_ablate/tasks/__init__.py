"""Task collections: from files, a hub data set or the built-in starter tasks to `Task`."""
