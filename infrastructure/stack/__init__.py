"""What the stack of compose.yaml needs beside its containers."""
