"""`redrive`: dead letters are sent again, each once."""
