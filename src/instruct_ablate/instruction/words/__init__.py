"""The words that variants work with: answers, options, prompts of collections, outside sentences, segments."""
