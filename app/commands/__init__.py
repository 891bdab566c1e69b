"""The commands: their options, and what they print. What they do is done elsewhere."""
