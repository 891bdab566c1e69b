"""`trace`: one record's whole way."""
