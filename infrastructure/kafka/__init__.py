"""A real Apache Kafka broker from its own jars, for tests, the demo and development."""
