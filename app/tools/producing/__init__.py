"""`produce`: records to send, good and bad, made up or of real history."""
