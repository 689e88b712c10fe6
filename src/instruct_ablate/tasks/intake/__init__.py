"""From files to tasks: rows, texts, choices and ids, by one rule for all readers."""
