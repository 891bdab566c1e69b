"""What makes the announcement topic agree with the alias in MLflow, however often it runs."""
