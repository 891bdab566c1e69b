"""`dead-letters`: what was refused, and why."""
