"""The registry service: models, plans and predictions over HTTP. The only importer of FastAPI."""
