"""A real S3-compatible store from its own jars, for tests and development."""
