"""`inspect`: any topic, row by row or as a summary."""
