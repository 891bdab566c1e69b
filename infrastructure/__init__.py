"""What the product runs against on a developer's machine: a real broker, a real MLflow server."""
