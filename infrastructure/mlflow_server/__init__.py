"""A real MLflow tracking server, for tests, the demo and development."""
