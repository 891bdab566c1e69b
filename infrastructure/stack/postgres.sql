-- Who may log in to MLflow is kept apart from what MLflow keeps.
CREATE DATABASE mlflow_login;
