"""What an operator's monitoring sees of an instance."""
