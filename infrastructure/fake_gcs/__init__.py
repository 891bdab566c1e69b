"""A server that speaks Google Cloud Storage's API, built by Go, for the test that asks for it."""
